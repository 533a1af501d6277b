//! Finding proofs again, and erasing them.

use reqwest::Method;
use sceau_verifier::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::call::Call;
use super::{Client, Result, Status};

/// Proofs of one page.
const PAGE: &str = "1000";

/// One proof of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// Its number among the account's proofs.
    pub number: u64,
    /// SHA-256 of the document.
    pub digest: Digest,
    /// How far it is.
    pub status: Status,
    /// When it was accepted, RFC 3339.
    pub received_at: String,
    /// Everything else the API said.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A page.
#[derive(Debug, Deserialize)]
pub struct Page {
    /// The proofs, by number.
    pub proofs: Vec<Listed>,
    /// Behind which number the next page begins.
    pub next: Option<u64>,
}

/// What was erased.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Erased {
    /// SHA-256 of the document.
    pub digest: Digest,
    /// The proof's number.
    pub number: u64,
    /// When, RFC 3339.
    pub erased_at: String,
    /// Everything else the API said.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Client {
    /// A page of this account's proofs behind number `after`, by `filters`: names and values of the query.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn list(&self, filters: &[(&str, String)], after: u64) -> Result<Page> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", PAGE).append_pair("after", &after.to_string()).extend_pairs(filters);
        self.call(Call::get(format!("v1/proofs?{}", query.finish()))).await?.decode(&[200])
    }

    /// Erases salt and details of this account's final proof of `digest`, for good. Erasing again changes nothing.
    ///
    /// # Errors
    /// See [`super::ClientError`]; a problem says why it cannot be.
    pub async fn erase(&self, digest: Digest) -> Result<Erased> {
        self.call(Call::bare(Method::DELETE, format!("v1/proofs/{digest}?irrevocable=true"))).await?.decode(&[200])
    }
}
