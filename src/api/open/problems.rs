//! Where the `type` of a problem leads.

use axum::Json;
use axum::extract::Path;
use serde_json::{Value, json};

use crate::api::error::{Code, Result};

/// What is told of a code.
pub(super) fn described(code: Code) -> Value {
    json!({ "code": code.as_str(), "status": code.status().as_u16(), "title": code.title(), "description": code.description() })
}

/// `GET /problems`: every problem there is.
pub(in crate::api) async fn problems() -> Json<Value> {
    Json(json!({ "problems": Code::ALL.iter().copied().map(described).collect::<Vec<_>>() }))
}

/// `GET /problems/{code}`: where the `type` of a problem leads.
pub(in crate::api) async fn problem(Path(name): Path<String>) -> Result<Json<Value>> {
    Ok(Json(described(Code::parse(&name).ok_or(Code::NotFound)?)))
}
