//! What an access token says.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// How far clocks of instances may differ, seconds.
pub(super) const LEEWAY: i64 = 30;

/// What a token says (RFC 9068 §2.2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// Who made it: this service's public address.
    pub iss: String,
    /// The account, as decimal number.
    pub sub: String,
    /// The consumer key it was given for.
    pub client_id: String,
    /// Who it is for: this service's public address.
    pub aud: String,
    /// End of its life, seconds since 1970.
    pub exp: i64,
    /// When it was made, seconds since 1970.
    pub iat: i64,
    /// Its name.
    pub jti: String,
    /// Scopes, separated by spaces.
    pub scope: String,
    /// Not to be used before, seconds since 1970. Ours have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// The account's generation of tokens when it was made: raised, it takes all tokens of the account back.
    #[serde(rename = "gen", default)]
    pub generation: i64,
}

impl Claims {
    /// The token's name as it is stored.
    #[must_use]
    pub fn name(&self) -> Option<[u8; 16]> {
        let mut name = [0; 16];
        hex::decode_to_slice(&self.jti, &mut name).ok().map(|()| name)
    }

    /// Until when the token is accepted: the end of its life and the leeway for clocks.
    #[must_use]
    pub fn accepted_until(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.exp.saturating_add(LEEWAY)).unwrap_or(crate::api::LAST)
    }
}
