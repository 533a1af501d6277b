//! What the document says about one route, beside what the list of routes knows.

use axum::http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use crate::api::error::Code;
use crate::api::routes::{Access, Route};

/// Writes the schema of a type.
type Described = fn(&mut SchemaGenerator) -> Schema;

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// One operation. Who may call it, and the errors that come with that, are added from its [`Access`].
#[derive(Debug, Clone)]
pub struct Operation {
    pub(super) tag: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
    pub(super) path: Vec<Parameter>,
    pub(super) query: Option<Described>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<Answer>,
    pub(super) codes: Vec<Code>,
    pub(super) conditional: bool,
}

/// A parameter of a path.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    pub name: &'static str,
    pub description: &'static str,
    pub schema: Described,
    pub example: Value,
}

/// What is sent.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub media: &'static str,
    pub schema: Described,
    pub examples: Vec<(&'static str, Value)>,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub description: &'static str,
    pub media: Option<&'static str>,
    pub schema: Option<Described>,
    pub example: Option<Value>,
}

impl Operation {
    /// `id` is unique in the document; `summary` is one line.
    #[must_use]
    pub fn new(tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self {
            tag,
            id,
            summary,
            description: "",
            path: Vec::new(),
            query: None,
            body: None,
            answers: Vec::new(),
            codes: Vec::new(),
            conditional: false,
        }
    }

    /// More than a line about it (CommonMark).
    #[must_use]
    pub fn about(self, description: &'static str) -> Self {
        Self { description, ..self }
    }

    /// A parameter of its path.
    #[must_use]
    pub fn path<T: JsonSchema>(mut self, name: &'static str, description: &'static str, example: impl Into<Value>) -> Self {
        self.path.push(Parameter { name, description, schema: of::<T>, example: example.into() });
        self
    }

    /// Its query: each member of `T` is a parameter.
    #[must_use]
    pub fn query<T: JsonSchema>(self) -> Self {
        Self { query: Some(of::<T>), ..self }
    }

    /// A body of JSON, with examples by name.
    #[must_use]
    pub fn takes<T: JsonSchema>(self, examples: impl Into<Vec<(&'static str, Value)>>) -> Self {
        Self { body: Some(Body { media: "application/json", schema: of::<T>, examples: examples.into() }), ..self }
    }

    /// A form.
    #[must_use]
    pub fn takes_form<T: JsonSchema>(self, examples: impl Into<Vec<(&'static str, Value)>>) -> Self {
        let media = "application/x-www-form-urlencoded";
        Self { body: Some(Body { media, schema: of::<T>, examples: examples.into() }), ..self }
    }

    /// An answer of JSON, with an example.
    #[must_use]
    pub fn gives<T: JsonSchema>(mut self, status: StatusCode, description: &'static str, example: Value) -> Self {
        let (media, schema) = (Some("application/json"), Some(of::<T> as Described));
        self.answers.push(Answer { status, description, media, schema, example: Some(example) });
        self
    }

    /// An answer of bytes, or of text that has no schema.
    #[must_use]
    pub fn gives_bytes(mut self, status: StatusCode, description: &'static str, media: &'static str) -> Self {
        self.answers.push(Answer { status, description, media: Some(media), schema: None, example: None });
        self
    }

    /// An answer without a body.
    #[must_use]
    pub fn gives_nothing(mut self, status: StatusCode, description: &'static str) -> Self {
        self.answers.push(Answer { status, description, media: None, schema: None, example: None });
        self
    }

    /// Its 200 has an `ETag`; a request that has it already (`If-None-Match`) is answered 304.
    #[must_use]
    pub fn tagged(self) -> Self {
        let told = self.gives_nothing(StatusCode::NOT_MODIFIED, "You have it already.");
        Self { conditional: true, ..told }
    }

    /// Problems of its own, beside those that come with who may call it and with what it takes.
    #[must_use]
    pub fn fails(mut self, codes: &[Code]) -> Self {
        self.codes.extend_from_slice(codes);
        self
    }
}

/// Problems that a route answers: its own, and those that come with who may call it and with what it takes.
#[must_use]
pub fn codes(route: &Route, operation: &Operation) -> Vec<Code> {
    let mut codes = vec![Code::Internal, Code::Timeout];
    if !route.alone {
        codes.push(Code::Unavailable);
    }
    if route.path.contains('{') {
        // A parameter that is no text, or none at all.
        codes.extend([Code::BadRequest, Code::NotFound]);
    }
    match route.access {
        Access::Public => {}
        Access::Client => codes.extend([
            Code::BadRequest,
            Code::RateLimited,
            Code::BodyTooLarge,
            Code::MediaTypeUnsupported,
            Code::RequestTimeout,
        ]),
        Access::Scope(_) => codes.extend([
            Code::TokenMissing,
            Code::TokenInvalid,
            Code::TokenExpired,
            Code::CredentialsInvalid,
            Code::ScopeMissing,
            Code::AccountDisabled,
            Code::AddressRefused,
            Code::RateLimited,
        ]),
    }
    if operation.body.as_ref().is_some_and(|body| body.media == "application/json") {
        codes.extend([
            Code::BadRequest,
            Code::BodyMalformed,
            Code::BodyInvalid,
            Code::BodyTooLarge,
            Code::MediaTypeUnsupported,
            Code::RequestTimeout,
        ]);
    }
    if operation.query.is_some() {
        codes.push(Code::QueryInvalid);
    }
    codes.extend_from_slice(&operation.codes);
    codes.sort_unstable_by_key(|code| (code.status(), code.as_str()));
    codes.dedup();
    codes
}
