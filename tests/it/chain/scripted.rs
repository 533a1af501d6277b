//! Nodes that answer what a test tells them to, alone or between us and a real one.

use std::future::Future;
use std::sync::Arc;

use alloy::primitives::Address;
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use sceau::chain::evm::Evm;
use sceau::chain::{Chain, Target};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::chain::node::Stage;

/// The target of endpoints from [`scripted`].
pub const TARGET: Target = Target { chain_id: 5, registry: Address::repeat_byte(0xee) };

/// What a scripted node says to one call.
pub enum Says {
    Result(Value),
    Error(i64, &'static str),
    /// Status and body as they are.
    Raw(u16, String),
    /// A JSON-RPC error under another status.
    Status(u16, Value),
}

/// Answers JSON-RPC requests on a free loopback port until the test's runtime ends; returns the address.
async fn serve<F: Future<Output = Says> + Send + 'static>(answer: impl Fn(Value) -> F + Send + Sync + 'static) -> String {
    let answer = Arc::new(answer);
    let handler = move |body: Bytes| {
        let answer = answer.clone();
        async move {
            let request: Value = serde_json::from_slice(&body).expect("a request");
            let mut body = json!({ "jsonrpc": "2.0", "id": request["id"] });
            let (status, member, value) = match answer(request).await {
                Says::Result(value) => (200, "result", value),
                Says::Error(code, message) => (200, "error", json!({ "code": code, "message": message })),
                Says::Status(status, error) => (status, "error", error),
                Says::Raw(status, text) => return (StatusCode::from_u16(status).expect("a status"), text),
            };
            body[member] = value;
            (StatusCode::from_u16(status).expect("a status"), body.to_string())
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/v3/0123456789abcdef", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(post(handler))).await.expect("serves") });
    url
}

/// A node that follows a script of method and parameters.
pub async fn scripted(script: impl Fn(&str, &Value) -> Says + Send + Sync + 'static) -> Evm {
    let url = serve(move |request| {
        let says = script(request["method"].as_str().expect("a method"), &request["params"]);
        async { says }
    })
    .await;
    Evm::connect(&url, TARGET).expect("a URL")
}

/// The stage's node with its answers edited: `edit` gets method, parameters and the true result, and says another
/// answer or `None` for the (changed) result.
pub async fn relayed(stage: &Stage, edit: impl Fn(&str, &Value, &mut Value) -> Option<Says> + Send + Sync + 'static) -> Evm {
    Evm::connect(&relay(stage, edit).await, stage.evm.target().clone()).expect("a URL")
}

/// The address of [`relayed`].
pub async fn relay(stage: &Stage, edit: impl Fn(&str, &Value, &mut Value) -> Option<Says> + Send + Sync + 'static) -> String {
    let upstream = stage.anvil.url.clone();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let edit = Arc::new(edit);
    serve(move |request| {
        let (upstream, client, edit) = (upstream.clone(), client.clone(), edit.clone());
        async move {
            let response = client.post(upstream).json(&request).send().await.expect("answered");
            let mut response: Value = response.json().await.expect("JSON");
            let method = request["method"].as_str().expect("a method");
            edit(method, &request["params"], &mut response["result"]).unwrap_or_else(|| Says::Result(response["result"].take()))
        }
    })
    .await
}
