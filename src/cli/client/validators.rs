//! What a manager asks the API about validators.

use reqwest::{Method, Url};
use serde_json::json;

use super::call::Call;
use super::{Client, Result, Validators};

/// The path and query, with what is not plain in them coded. `account`: a client of the caller's, else its own.
fn path(validator: Option<&str>, account: Option<&str>) -> String {
    let mut url = Url::parse("http://base/v1/validators").expect("a URL");
    if let (Some(validator), Ok(mut segments)) = (validator, url.path_segments_mut()) {
        segments.push(validator);
    }
    if let Some(account) = account {
        url.query_pairs_mut().append_pair("account", account);
    }
    url.as_str().trim_start_matches("http://base/").to_owned()
}

impl Client {
    /// Who decides about the account's documents.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn validators(&self, account: Option<&str>) -> Result<Validators> {
        self.call(Call::get(path(None, account))).await?.decode(&[200])
    }

    /// Lets a validator decide, named by a consumer key of its, or by its name where this account knows it. Repeating it changes
    /// nothing.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn add_validator(&self, account: Option<&str>, validator: &str) -> Result<Validators> {
        self.call(Call::bare(Method::PUT, path(Some(validator), account))).await?.decode(&[200, 201])
    }

    /// Ends that it may decide.
    ///
    /// # Errors
    /// See [`super::ClientError`]; a problem says when it could not.
    pub async fn remove_validator(&self, account: Option<&str>, validator: &str) -> Result<Validators> {
        self.call(Call::bare(Method::DELETE, path(Some(validator), account))).await?.decode(&[200])
    }

    /// How many approvals documents need that are submitted from now on.
    ///
    /// # Errors
    /// See [`super::ClientError`].
    pub async fn require_approvals(&self, account: Option<&str>, approvals: u32) -> Result<Validators> {
        let body = json!({ "approvals_needed": approvals }).to_string();
        self.call(Call::json(Method::PUT, &path(None, account), body)).await?.decode(&[200])
    }
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn names_stay_in_their_place() {
        assert_eq!(path(None, None), "v1/validators");
        assert_eq!(path(Some("ck_a"), None), "v1/validators/ck_a");
        assert_eq!(path(Some("a/../b?x#y é%"), Some("c&d=e")), "v1/validators/a%2F..%2Fb%3Fx%23y%20%C3%A9%25?account=c%26d%3De");
    }
}
