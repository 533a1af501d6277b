#!/usr/bin/env python3
"""A client of the KageSecur API, written from its published page alone: standard library, nothing of this repository.

    client.py --url URL [--ca FILE] --session FILE --identifiant NAME --clef-file FILE COMMAND …

    login                          POST /connexionKS; keeps the token in the session file
    write NODE FILE…               POST /writeProof; the file's name is its fileName
    write-json                     POST /writeProof with allDatas and flags from standard input, as they are
    verify FILE…                   POST /verification, one answer a line
    verify-hash HASH               POST /verification with the hash as it is

Prints each answer's body byte for byte, and a line feed. A `jwt` in an answer takes the place of the token in use.
Exit status: 0 answered with 200, 3 answered with 403, 4 answered otherwise.
"""

import argparse
import hashlib
import json
import os
import ssl
import sys
import urllib.error
import urllib.request


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Refused(Exception):
    """Another status than 200."""

    def __init__(self, status: int, body: bytes):
        super().__init__(status)
        self.status = status
        self.body = body


class Client:
    """`empreinte` = SHA256(identifiant + clef) in lower-case hex; `hashJwt` is the same."""

    def __init__(self, url, ca=None, empreinte="", hash_jwt="", jwt="noJwt"):
        self.url = url
        self.context = ssl.create_default_context(cafile=ca) if url.startswith("https") else None
        self.empreinte = empreinte
        self.hash_jwt = hash_jwt
        self.jwt = jwt

    def post(self, path, body, token):
        request = urllib.request.Request(
            self.url + path,
            data=json.dumps(body, ensure_ascii=False).encode("utf-8"),
            headers={"Content-Type": "application/json", "authorization": "Bearer " + token},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, context=self.context, timeout=60) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read()) from None
        if status != 200:
            raise Refused(status, content)
        # An answer may carry a token that takes the place of the one in use.
        self.jwt = json.loads(content.decode("utf-8")).get("jwt") or self.jwt
        return content

    def connexion(self):
        return self.post("/connexionKS", {"empreinte": self.empreinte, "hashJwt": self.hash_jwt}, "noJwt")

    def write_proof(self, all_datas, **flags):
        body = {"empreinte": self.empreinte, "hashJwt": self.hash_jwt, "allDatas": all_datas, **flags}
        return self.post("/writeProof", body, self.jwt)

    def verification(self, hash_of_hash):
        body = {"empreinte": self.empreinte, "hashJwt": self.hash_jwt, "hash": hash_of_hash}
        return self.post("/verification", body, self.jwt)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--ca")
    parser.add_argument("--session", required=True)
    parser.add_argument("--identifiant")
    parser.add_argument("--clef-file")
    parser.add_argument("--empreinte", help="instead of identifiant and clef")
    parser.add_argument("--hash-jwt", help="another than the empreinte, to see it refused")
    parser.add_argument("command")
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()

    empreinte = options.empreinte
    if empreinte is None:
        with open(options.clef_file, encoding="utf-8") as file:
            clef = file.read().rstrip("\n")
        empreinte = sha256_hex((options.identifiant + clef).encode("utf-8"))
    client = Client(options.url, options.ca, empreinte, options.hash_jwt or empreinte)
    if os.path.exists(options.session):
        with open(options.session, encoding="utf-8") as file:
            client.jwt = json.load(file)["jwt"]

    def show(content):
        sys.stdout.buffer.write(content + b"\n")

    def document(path):
        with open(path, "rb") as file:
            return sha256_hex(file.read())

    try:
        if options.command == "login":
            show(client.connexion())
        elif options.command == "write":
            node, *files = options.arguments
            show(client.write_proof([
                {"empreinte": empreinte, "hash": document(path), "fileName": os.path.basename(path), "node": node}
                for path in files
            ]))
        elif options.command == "write-json":
            body = json.load(sys.stdin)
            show(client.write_proof(body.pop("allDatas"), **body))
        elif options.command == "verify":
            for path in options.arguments:
                show(client.verification(sha256_hex(document(path).encode("ascii"))))
        elif options.command == "verify-hash":
            show(client.verification(options.arguments[0]))
        else:
            parser.error(f"no command {options.command}")
    except Refused as refused:
        show(refused.body)
        return 3 if refused.status == 403 else 4
    finally:
        with open(options.session, "w", encoding="utf-8") as file:
            json.dump({"jwt": client.jwt}, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
