//! What a validator asks the API.

use reqwest::Method;
use serde_json::json;

use super::call::Call;
use super::{Client, Result, Validation, wire};

/// What a validator may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Let the document be sealed.
    Approve,
    /// Do not.
    Refuse,
}

impl Verb {
    /// The word sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Refuse => "refuse",
        }
    }
}

impl Client {
    /// A page of what waits for this account's decision, behind `after`, and where the next one starts.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn validations(&self, after: Option<&str>) -> Result<(Vec<Validation>, Option<String>)> {
        let query = after.map(|after| format!("&after={after}")).unwrap_or_default();
        let answer = self.call(Call::get(format!("v1/validations?limit=200{query}"))).await?;
        let page: wire::Validations = answer.decode(&[200])?;
        Ok((page.validations, page.next))
    }

    /// Decides about the document behind `id`; answers how it stands then. Deciding the same again changes nothing.
    ///
    /// # Errors
    /// See [`super::ClientError`]; a problem says when others settled it before.
    pub async fn decide(&self, id: &str, verb: Verb, comment: &str) -> Result<Validation> {
        let body = json!({ "decision": verb.as_str(), "comment": comment }).to_string();
        self.call(Call::json(Method::POST, &format!("v1/validations/{id}"), body)).await?.decode(&[200])
    }
}
