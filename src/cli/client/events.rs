//! The log of the account, and its webhooks.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::Call;
use super::{Client, Result};

/// One event. What of it this version does not know is kept and printed as it came.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// Place in the log.
    pub seq: u64,
    /// Type.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened.
    pub timestamp: String,
    /// About what.
    pub data: Value,
    /// The rest.
    #[serde(flatten)]
    pub rest: serde_json::Map<String, Value>,
}

/// A part of the log.
#[derive(Debug, Clone, Deserialize)]
pub struct EventPage {
    /// Events in order.
    pub events: Vec<Event>,
    /// Where the next page begins.
    pub next: u64,
}

impl Client {
    /// Events behind `after`; waits up to `wait` seconds for one when there is none.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn events(&self, after: u64, wait: u32) -> Result<EventPage> {
        self.call(Call::get(format!("v1/events?after={after}&limit=1000&wait={wait}"))).await?.decode(&[200])
    }

    /// All webhooks, as the API shows them.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn webhooks(&self) -> Result<Vec<Value>> {
        #[derive(Deserialize)]
        struct List {
            webhooks: Vec<Value>,
        }
        let list: List = self.call(Call::get("v1/webhooks".into())).await?.decode(&[200])?;
        Ok(list.webhooks)
    }

    /// Makes a webhook; answers it with its secret.
    ///
    /// # Errors
    /// See [`super::ClientError`]. Not repeated when there is no answer: there would be two.
    pub async fn add_webhook(&self, url: &str, types: &[String], after: Option<u64>) -> Result<Value> {
        let types = (!types.is_empty()).then_some(types);
        let body = json!({ "url": url, "types": types, "after": after }).to_string();
        self.call(Call::json(Method::POST, "v1/webhooks", body).once()).await?.decode(&[201])
    }

    /// Ends a webhook.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn remove_webhook(&self, id: &str) -> Result<()> {
        self.call(Call::bare(Method::DELETE, format!("v1/webhooks/{id}"))).await?.expect(&[204]).map(|_| ())
    }

    /// Gives a webhook a new secret; answers it, and until when the one before signs as well.
    ///
    /// # Errors
    /// See [`super::ClientError`]. Not repeated when there is no answer: the secret in use would sign no more.
    pub async fn rotate_webhook(&self, id: &str, overlap: Option<u32>) -> Result<Value> {
        let body = overlap.map_or_else(|| json!({}), |overlap| json!({ "overlap": overlap })).to_string();
        self.call(Call::json(Method::POST, &format!("v1/webhooks/{id}/secret"), body).once()).await?.decode(&[200])
    }

    /// Sends again at once, from the cursor or from behind `after`.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn resume_webhook(&self, id: &str, after: Option<u64>) -> Result<Value> {
        let body = json!({ "after": after }).to_string();
        self.call(Call::json(Method::POST, &format!("v1/webhooks/{id}/resume"), body)).await?.decode(&[200])
    }

    /// Has a test sent.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn test_webhook(&self, id: &str) -> Result<()> {
        self.call(Call::json(Method::POST, &format!("v1/webhooks/{id}/test"), "{}".into())).await?.expect(&[202]).map(|_| ())
    }

    /// The newest deliveries, newest first.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn deliveries(&self, id: &str, limit: u32) -> Result<Vec<Value>> {
        #[derive(Deserialize)]
        struct List {
            deliveries: Vec<Value>,
        }
        let path = format!("v1/webhooks/{id}/deliveries?limit={limit}");
        let list: List = self.call(Call::get(path)).await?.decode(&[200])?;
        Ok(list.deliveries)
    }
}
