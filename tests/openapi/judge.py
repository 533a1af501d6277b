#!/usr/bin/env python3
"""Judges a running service by its own OpenAPI document.

    judge.py FACTS

FACTS is a JSON file: `services` is a list of objects with `base`, `examples` (path parameters that lead to something, by
name), `except` (operation ids that are not asked) and `callers`, each with a `name`, a `header` (Authorization, or null) and
`scopes`: a caller asks the operations that need one of its scopes; the one without scopes asks all that need none.
`examples_most` bounds the examples an operation, `seconds` bounds one caller's run.

Exit status 0 when nothing was found.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

METHODS = {"get", "put", "post", "delete", "patch"}
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "ignored_auth",
]


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in METHODS:
                yield path, method, operation


def check_examples(document):
    """Every example fits the schema it stands beside."""
    registry = Registry().with_resource("urn:document", Resource(contents=document, specification=DRAFT202012))
    count = 0

    def fits(schema, example, where):
        nonlocal count
        resolved = json.loads(json.dumps(schema).replace('"#/', '"urn:document#/'))
        validator = Draft202012Validator(resolved, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER)
        faults = [error.message for error in validator.iter_errors(example)]
        if faults:
            sys.exit(f"an example does not fit its schema: {where}: {faults[0]}")
        count += 1

    for path, method, operation in operations(document):
        where = f"{method} {path}"
        for parameter in operation.get("parameters", []):
            if "example" in parameter:
                fits(parameter["schema"], parameter["example"], f"{where} {parameter['name']}")
        bodies = [operation.get("requestBody", {})] + list(operation["responses"].values())
        for body in bodies:
            for content in body.get("content", {}).values():
                if "example" in content:
                    fits(content["schema"], content["example"], where)
                for example in content.get("examples", {}).values():
                    fits(content["schema"], example["value"], where)
    return count


def referred(schema, document, found):
    """Names of the schemas that one leads to."""
    if isinstance(schema, dict):
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        if name and name not in found:
            found.add(name)
            referred(document["components"]["schemas"][name], document, found)
        for value in schema.values():
            referred(value, document, found)
    elif isinstance(schema, list):
        for value in schema:
            referred(value, document, found)


def close(schema):
    """Members that the document does not name are faults here, though a client must bear with them."""
    if isinstance(schema, dict):
        if "properties" in schema and "additionalProperties" not in schema and "allOf" not in schema:
            schema["additionalProperties"] = False
        for key, value in schema.items():
            if key not in ("enum", "const", "example", "dependentSchemas"):
                close(value)
    elif isinstance(schema, list):
        for value in schema:
            close(value)


def sharpened(document, examples):
    """The document with parameters that lead to something, and answers without members it does not name."""
    written = set()
    for _, _, operation in operations(document):
        for response in operation["responses"].values():
            for content in response.get("content", {}).values():
                referred(content.get("schema", {}), document, written)
        # A condition that cannot be read is ignored (RFC 9110 §13.1.2): no value of it is an error.
        operation["parameters"] = [one for one in operation.get("parameters", []) if one["in"] != "header"]
        for parameter in operation["parameters"]:
            if parameter["in"] == "path" and parameter["name"] in examples:
                parameter["example"] = examples[parameter["name"]]
    for name in written:
        close(document["components"]["schemas"][name])
    return document


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        facts = json.load(file)
    tool = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    failed = []
    for service in facts["services"]:
        with urllib.request.urlopen(service["base"] + "/openapi.json") as answer:
            document = json.load(answer)
        OpenAPIV31SpecValidator(document).validate()
        total = len(list(operations(document)))
        print(f"{document['info']['title']}: valid OpenAPI {document['openapi']}, {total} operations, "
              f"{check_examples(document)} examples fit", flush=True)
        for caller in service["callers"]:
            chosen = []
            for _, _, operation in operations(document):
                needed = {scope for way in operation["security"] for scope in way.get("token", [])}
                mine = needed & set(caller["scopes"]) if caller["scopes"] else not needed
                if mine and operation["operationId"] not in service.get("except", []):
                    chosen.append(operation["operationId"])
            if not chosen:
                continue
            with tempfile.TemporaryDirectory() as folder:
                schema = os.path.join(folder, "openapi.json")
                with open(schema, "w", encoding="utf-8") as file:
                    json.dump(sharpened(json.loads(json.dumps(document)), service["examples"]), file)
                with open(os.path.join(folder, "schemathesis.toml"), "w", encoding="utf-8") as file:
                    file.write("")
                command = [tool, "run", schema, "--url", service["base"], "--checks", ",".join(CHECKS)]
                command += ["--phases", "examples,coverage,fuzzing", "--max-examples", str(facts["examples_most"])]
                command += ["--seed", "20261122", "--generation-deterministic", "--no-shrink", "--continue-on-failure"]
                command += ["--max-time", str(facts["seconds"]), "--workers", "2", "--warnings", "off", "--no-color"]
                command += ["--suppress-health-check", "all", "--output-truncate", "true"]
                for operation in chosen:
                    command += ["--include-operation-id", operation]
                if caller["header"]:
                    command += ["--header", "Authorization: " + caller["header"]]
                done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
                summary = done.stdout if done.returncode else done.stdout[-900:]
                print(f"--- {caller['name']}: {len(chosen)} operations\n{summary}{done.stderr}", flush=True)
                if done.returncode:
                    failed.append(caller["name"])
    if failed:
        sys.exit("found faults as " + ", ".join(failed))


main()
