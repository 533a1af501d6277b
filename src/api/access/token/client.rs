//! Who asks for a token: client authentication of RFC 6749 §2.3.1, and the form it stands in.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

use super::{Failure, GrantError};

/// Keys have 29 characters; longer than this none ever had.
const LONGEST: usize = 100;

/// Parameters of a request for a token, or of its revocation, that are read. Others are ignored (RFC 6749 §3.2).
#[derive(Debug, Default)]
pub struct Form {
    /// Must be `client_credentials`.
    pub grant_type: Option<String>,
    /// What the token is to be good for.
    pub scope: Option<String>,
    /// The token that is to be revoked (RFC 7009 §2.1).
    pub token: Option<String>,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
}

impl Form {
    /// Reads `application/x-www-form-urlencoded`. Parameters without a value count as absent; none may be there twice.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let mut form = Self::default();
        let mut seen = Vec::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            if value.is_empty() || !matches!(&*name, "grant_type" | "scope" | "token" | "client_id" | "client_secret") {
                continue;
            }
            if seen.contains(&name) {
                return Err(GrantError::InvalidRequest.because("a parameter is there twice"));
            }
            match &*name {
                "grant_type" => form.grant_type = Some(value.into_owned()),
                "scope" => form.scope = Some(value.into_owned()),
                "token" => form.token = Some(value.into_owned()),
                "client_id" => form.client_id = Some(value.into_owned()),
                _ => form.client_secret = Some(value.into_owned().into()),
            }
            seen.push(name);
        }
        Ok(form)
    }
}

/// A consumer key and the secret that came with it.
#[derive(Debug)]
pub struct Presented {
    /// The consumer key.
    pub client_id: String,
    /// The secret, right or wrong.
    pub secret: SecretString,
}

impl Presented {
    /// Whether the key is worth a question: Postgres text cannot hold U+0000, and no key of ours has one.
    #[must_use]
    pub fn could_be_ours(&self) -> bool {
        self.client_id.len() <= LONGEST && !self.client_id.contains('\0')
    }
}

/// Takes key and secret from the `Authorization` header (Basic) or from the form, never from both.
///
/// # Errors
/// `invalid_request` for two ways at once, `invalid_client` where there is none or the header cannot be read.
pub fn presented(headers: &HeaderMap, form: &mut Form) -> Result<Presented, Failure> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (first, second) = (given.next(), given.next());
    if second.is_some() {
        return Err(GrantError::InvalidRequest.because("more than one Authorization header"));
    }
    let secret = form.client_secret.take();
    let Some(header) = first else {
        return match (form.client_id.take(), secret) {
            (Some(client_id), Some(secret)) => Ok(Presented { client_id, secret }),
            _ => Err(GrantError::InvalidClient.because("no client authentication")),
        };
    };
    if secret.is_some() {
        return Err(GrantError::InvalidRequest.because("authenticate by header or by form, not both"));
    }
    let basic = header.to_str().ok().and_then(basic).ok_or(GrantError::InvalidClient.because("Authorization is not Basic"))?;
    // The name alone may be repeated in the form if it is the same.
    if form.client_id.as_ref().is_some_and(|id| *id != basic.client_id) {
        return Err(GrantError::InvalidRequest.because("client_id in the form is not the one in Authorization"));
    }
    Ok(basic)
}

/// RFC 7617, with both halves form-encoded as RFC 6749 §2.3.1 wants it; `None` for what is not `Basic`.
#[must_use]
pub fn basic(header: &str) -> Option<Presented> {
    let (scheme, token) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(token.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some(Presented { client_id: decoded(id), secret: decoded(secret).into() })
}

fn decoded(text: &str) -> String {
    // One pair without name: what form encoding says of a single value. A raw & or = cannot be part of ours.
    form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}
