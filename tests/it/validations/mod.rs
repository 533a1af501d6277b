//! Documents that wait for validators, from the request to the verdict.

mod api;
pub mod flow;
mod managers;
mod mixed;

use sceau::ledger::accounts::Role;
use serde_json::{Value, json};

use crate::api::kit::{Account, Service};

/// An account with validators that approve, `needed` at a time, and a token of each.
pub struct Office {
    pub owner: Account,
    pub token: String,
    pub validators: Vec<(Account, String)>,
}

pub async fn office(service: &Service, needed: u32, names: &[&str]) -> Office {
    let (owner, token) = service.partner("acme").await;
    let mut validators = Vec::new();
    for name in names {
        let account = service.account(name, Role::Validator).await;
        service.ledger.add_validator("acme", name).await.unwrap();
        let token = service.token(&account).await;
        validators.push((account, token));
    }
    service.ledger.require_approvals("acme", needed).await.unwrap();
    Office { owner, token, validators }
}

impl Service {
    /// Submits with a body of the test's own; the items of a good answer and its status.
    pub async fn propose(&self, token: &str, body: &Value) -> (u16, Vec<Value>) {
        let answer = self.post("/v1/proofs", token, body).await;
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        let body: Value = serde_json::from_str(&text).unwrap();
        (status, body["proofs"].as_array().unwrap_or_else(|| panic!("{text}")).clone())
    }

    pub async fn decide(&self, token: &str, id: &str, decision: &str) -> reqwest::Response {
        self.post(&format!("/v1/validations/{id}"), token, &json!({ "decision": decision, "comment": "vu" })).await
    }

    pub async fn json(&self, path: &str, token: &str) -> Value {
        let answer = self.get(path, token).await;
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }
}
