//! The document, made from the list of routes.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use schemars::generate::{Contract, SchemaSettings};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::nulls::{drop_null, never_null, only_telling_defaults};
use super::operation::{Answer, Operation, codes};
use super::schema;
use crate::api::access::token::Scope;
use crate::api::error::Code;
use crate::api::routes::{Access, Route};

/// What every document says about itself.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its title.
    pub title: &'static str,
    /// A few paragraphs (CommonMark).
    pub description: &'static str,
    /// Tags in their order, and what each is about.
    pub tags: &'static [(&'static str, &'static str)],
}

/// An OpenAPI 3.1 document of these routes. Routes without an operation are left out.
#[must_use]
pub fn document<'a>(about: &About, routes: impl Iterator<Item = &'a Route>) -> Value {
    let mut schemas = Schemas::new();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for route in routes {
        if let Some(operation) = route.operation {
            let operation = schemas.operation(route, operation());
            paths.entry(template(route.path)).or_default().insert(route.method.to_lowercase(), operation);
        }
    }
    let tags: Vec<Value> = about.tags.iter().map(|(name, text)| json!({ "name": name, "description": text })).collect();
    let scopes: Map<String, Value> = Scope::ALL.into_iter().map(|scope| (scope.as_str().into(), scope.means().into())).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": about.title,
            "version": env!("CARGO_PKG_VERSION"),
            "description": about.description,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": schemas.finish(),
            "securitySchemes": {
                "token": {
                    "type": "oauth2",
                    "description": "Client credentials (RFC 6749 §4.4); access tokens of RFC 9068.",
                    "flows": { "clientCredentials": { "tokenUrl": "/oauth2/token", "scopes": scopes } },
                },
                "secret": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "Consumer key and consumer secret: at the token routes, and elsewhere where the operator allows it.",
                },
            },
        },
        "x-problems": Code::ALL.iter().map(|code| json!({
            "code": code.as_str(),
            "status": code.status().as_u16(),
            "title": code.title(),
            "description": code.description(),
        })).collect::<Vec<_>>(),
    })
}

/// The path as OpenAPI writes it: it knows no parameter that takes more than one segment.
pub fn template(path: &str) -> String {
    path.replace("{*", "{")
}

/// Schemas named so far: of what is read, and of what is written.
struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = |contract| {
            SchemaSettings::draft2020_12()
                .with(|settings| {
                    settings.definitions_path = "/components/schemas".into();
                    settings.meta_schema = None;
                    settings.contract = contract;
                })
                .into_generator()
        };
        Self { read: settings(Contract::Deserialize), written: settings(Contract::Serialize) }
    }

    fn finish(mut self) -> Map<String, Value> {
        let mut all = self.read.take_definitions(false);
        all.values_mut().for_each(only_telling_defaults);
        // Members that are left out where there is nothing to say are never null.
        if let Some(problem) = all.get_mut("Problem") {
            never_null(problem);
        }
        for (name, mut schema) in self.written.take_definitions(false) {
            never_null(&mut schema);
            let before = all.insert(name.clone(), schema.clone());
            assert!(before.is_none_or(|before| before == schema), "two schemas have the name {name}");
        }
        all
    }

    fn operation(&mut self, route: &Route, told: Operation) -> Value {
        let mut parameters: Vec<Value> = told
            .path
            .iter()
            .map(|parameter| {
                json!({
                    "name": parameter.name,
                    "in": "path",
                    "required": true,
                    "description": parameter.description,
                    "schema": (parameter.schema)(&mut self.read),
                    "example": parameter.example,
                })
            })
            .collect();
        if let Some(query) = told.query {
            parameters.extend(self.query(query));
        }
        if told.conditional {
            parameters.push(json!({
                "name": "If-None-Match",
                "in": "header",
                "description": "The `ETag` of an answer you have.",
                "schema": { "type": "string" },
            }));
        }
        let mut operation = json!({
            "tags": [told.tag],
            "operationId": told.id,
            "summary": told.summary,
            "security": security(route.access),
            "responses": self.responses(route, &told),
        });
        if !told.description.is_empty() {
            operation["description"] = told.description.into();
        }
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        if let Some(body) = &told.body {
            let examples: Map<String, Value> =
                body.examples.iter().map(|(name, value)| ((*name).into(), json!({ "value": value }))).collect();
            let mut content = json!({ "schema": (body.schema)(&mut self.read) });
            if !examples.is_empty() {
                content["examples"] = examples.into();
            }
            operation["requestBody"] = json!({ "required": true, "content": { body.media: content } });
        }
        operation
    }

    /// The members of a type as parameters.
    fn query(&mut self, described: fn(&mut SchemaGenerator) -> Schema) -> Vec<Value> {
        // A generator of its own: a type that is only a query needs no name in the document.
        let mut own = Self::new().read;
        let reference = described(&mut own);
        let name = reference.get("$ref").and_then(Value::as_str).and_then(|name| name.rsplit('/').next()).unwrap_or_default();
        let mut members = own.take_definitions(false);
        let schema = members.remove(name).unwrap_or_else(|| reference.to_value());
        let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let parameters = schema["properties"].as_object().into_iter().flatten().map(|(name, property)| {
            let mut property = property.clone();
            drop_null(&mut property);
            let description = property.as_object_mut().and_then(|property| property.remove("description"));
            // What is left out is not null: a query has no such value.
            if let Some(property) = property.as_object_mut()
                && property.get("default").is_some_and(Value::is_null)
            {
                property.remove("default");
            }
            json!({
                "name": name,
                "in": "query",
                "required": required.contains(&name.as_str()),
                "description": description.unwrap_or_default(),
                "schema": property,
            })
        });
        parameters.collect()
    }

    fn responses(&mut self, route: &Route, told: &Operation) -> Value {
        let mut responses: BTreeMap<u16, Value> = BTreeMap::new();
        for answer in &told.answers {
            let mut response = json!({ "description": answer.description, "headers": headers(route, told, answer) });
            if let Some(media) = answer.media {
                let mut content = json!({});
                if let Some(schema) = answer.schema {
                    content["schema"] = schema(&mut self.written).to_value();
                }
                if let Some(example) = &answer.example {
                    content["example"] = example.clone();
                }
                response["content"] = json!({ media: content });
            }
            responses.insert(answer.status.as_u16(), response);
        }
        if route.access == Access::Client {
            let schema = self.read.subschema_for::<schema::GrantError>().to_value();
            for (status, what) in [(400, "An error of RFC 6749 §5.2."), (401, "`invalid_client` of RFC 6749 §5.2.")] {
                let response =
                    json!({ "description": what, "headers": id(), "content": { "application/json": { "schema": schema } } });
                responses.insert(status, response);
            }
        }
        let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        for code in codes(route, told) {
            by_status.entry(code.status().as_u16()).or_default().push(code);
        }
        let problem = self.read.subschema_for::<schema::Problem>().to_value();
        for (status, codes) in by_status {
            let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
            let schema = json!({
                "allOf": [problem, { "properties": { "status": { "const": status }, "code": { "enum": names } } }],
            });
            let lines: Vec<String> = codes.iter().map(|code| format!("`{}`: {}.", code.as_str(), code.title())).collect();
            let response = responses.entry(status).or_insert_with(|| json!({ "description": "", "headers": id() }));
            let before = response["description"].as_str().unwrap_or_default();
            response["description"] = [before, &lines.join(" ")].join(" ").trim().into();
            if [408, 429, 503, 504].contains(&status) || codes.contains(&Code::ReceiptNotReady) {
                response["headers"]["Retry-After"] =
                    json!({ "description": "Seconds.", "schema": { "type": "integer", "minimum": 1 } });
            }
            response["content"]["application/problem+json"] = json!({ "schema": schema });
        }
        responses.into_iter().map(|(status, response)| (status.to_string(), response)).collect::<Map<_, _>>().into()
    }
}

fn id() -> Value {
    json!({ "x-request-id": { "required": true, "schema": { "type": "string", "pattern": "^[0-9a-f]{32}$" } } })
}

fn headers(route: &Route, told: &Operation, answer: &Answer) -> Value {
    let mut headers = id();
    if told.conditional && [StatusCode::OK, StatusCode::NOT_MODIFIED].contains(&answer.status) {
        headers["ETag"] = json!({ "required": true, "schema": { "type": "string" } });
    }
    if route.access != Access::Public {
        for name in ["RateLimit-Policy", "RateLimit"] {
            headers[name] = json!({
                "description": "draft-ietf-httpapi-ratelimit-headers-10.",
                "schema": { "type": "string" },
            });
        }
    }
    headers
}

fn security(access: Access) -> Value {
    match access {
        Access::Public => json!([]),
        // Or in the form.
        Access::Client => json!([{ "secret": [] }, {}]),
        Access::Scope(scope) => json!([{ "token": [scope.as_str()] }, { "secret": [] }]),
    }
}
