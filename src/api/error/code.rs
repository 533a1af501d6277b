//! Every problem this service answers with, in one table.

use axum::http::StatusCode;

use crate::api::traffic::TokenFailure;

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal, $status:ident, $title:literal;)*) => {
        /// What went wrong, as a stable name. Programs decide by it; titles and details are for people.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[doc = $doc])* $name,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// One line for people, always the same for a code.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What it means and what to do about it.
            #[must_use]
            pub fn description(self) -> String {
                let text: &[&str] = match self { $(Self::$name => &[$($doc),*],)* };
                text.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
            }
        }
    };
}

codes! {
    /// The request is not one this service understands, for a reason that has no code of its own.
    BadRequest = "bad_request", BAD_REQUEST, "The request cannot be understood";
    /// The body is not JSON. `line` and `column` say where it ends to be.
    BodyMalformed = "body_malformed", BAD_REQUEST, "The body is not JSON";
    /// The query has a parameter this route does not take, or a value the parameter does not have.
    QueryInvalid = "query_invalid", BAD_REQUEST, "The query is not one this route takes";
    /// A digest is exactly 64 lower-case hexadecimal digits.
    DigestInvalid = "digest_invalid", BAD_REQUEST, "Not a SHA-256 digest";
    /// The route needs an access token in the `Authorization` header (`Bearer`).
    TokenMissing = "token_missing", UNAUTHORIZED, "An access token is needed";
    /// The access token was not given by this service, or not for it, or its credential is gone. Ask for a new one.
    TokenInvalid = "token_invalid", UNAUTHORIZED, "The access token is not valid";
    /// The access token was valid. Ask for a new one.
    TokenExpired = "token_expired", UNAUTHORIZED, "The access token has expired";
    /// The token's scopes do not include the one this route needs.
    ScopeMissing = "scope_missing", FORBIDDEN, "The access token lacks a scope";
    /// The token is in order but its account or credential was disabled after it was given.
    AccountDisabled = "account_disabled", FORBIDDEN, "The account is disabled";
    /// Key and secret in `Authorization` (`Basic`) are wrong, or the account does not take them in place of a token. Ask for
    /// a token.
    CredentialsInvalid = "credentials_invalid", UNAUTHORIZED, "Key and secret are not accepted here";
    /// The account may not ask from this address.
    AddressRefused = "address_refused", FORBIDDEN, "The account may not ask from this address";
    /// The subscription of the account has ended: nothing new is taken. What was submitted stays readable.
    SubscriptionExpired = "subscription_expired", FORBIDDEN, "The subscription has expired";
    /// KageSecur dialect: the token or what belongs to it is not valid, or too many logins failed. Log in again.
    AuthenticationFailed = "authentication_failed", FORBIDDEN, "Authentication failed";
    /// There is no such route.
    NotFound = "not_found", NOT_FOUND, "There is nothing at this address";
    /// This account never submitted this digest.
    ProofUnknown = "proof_unknown", NOT_FOUND, "No such proof";
    /// The account never had a credential of this key.
    CredentialUnknown = "credential_unknown", NOT_FOUND, "No such credential";
    /// There is no such document for this account to decide on or to look at.
    ValidationUnknown = "validation_unknown", NOT_FOUND, "No such validation";
    /// The caller acts for no account of that name, or administers none of that id.
    AccountUnknown = "account_unknown", NOT_FOUND, "No such account";
    /// There is no such validator, or the caller cannot mean it by that: name it by one of its consumer keys.
    ValidatorUnknown = "validator_unknown", NOT_FOUND, "No such validator";
    /// No certificate is opened by this number, or not any more: verify the document again for a new one.
    LinkUnknown = "link_unknown", NOT_FOUND, "No such certificate";
    /// This account has no such webhook.
    WebhookUnknown = "webhook_unknown", NOT_FOUND, "No such webhook";
    /// There is no batch of this number.
    BatchUnknown = "batch_unknown", NOT_FOUND, "No such batch";
    /// The batch has no such tile, or is not sealed yet.
    TileUnknown = "tile_unknown", NOT_FOUND, "No such tile";
    /// The route exists; the header `Allow` lists its methods.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "The route does not have this method";
    /// The body did not arrive in time.
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "The request took too long to arrive";
    /// The `Idempotency-Key` is none: 1 to 255 visible ASCII characters, once, and not with a stream of lines.
    IdempotencyKeyInvalid = "idempotency_key_invalid", BAD_REQUEST, "The idempotency key is not one";
    /// Erasing cannot be taken back: say `irrevocable=true` in the query.
    ConfirmationMissing = "confirmation_missing", BAD_REQUEST, "Erasing must be confirmed";
    /// A request with this `Idempotency-Key` is under way. Try again after `Retry-After` seconds.
    IdempotencyKeyInUse = "idempotency_key_in_use", CONFLICT, "A request with this key is under way";
    /// The proof is not final yet, or one of its anchors is still on its way. `proof_status` says how far it is. Nothing was
    /// erased: try again later.
    ErasureTooEarly = "erasure_too_early", CONFLICT, "The proof cannot be erased yet";
    /// The proof is what a validator decided, which is kept. Nothing was erased.
    DecisionKept = "decision_kept", CONFLICT, "A decision cannot be erased";
    /// The account's proof of this digest was erased: its salt and all that was said about it are gone. `number`, `batch` and
    /// `erased_at` say which and when.
    ProofErased = "proof_erased", GONE, "The proof was erased";
    /// The proof is not anchored yet, or not final where that was asked for. `proof_status` says how far it is, `anchor_by`
    /// by when it is promised.
    ReceiptNotReady = "receipt_not_ready", CONFLICT, "There is no receipt yet";
    /// Another account has this name. Nothing was made.
    NameTaken = "name_taken", CONFLICT, "There is an account of that name";
    /// The account has two credentials in use, which is the most: revoke one of them first.
    CredentialsFull = "credentials_full", CONFLICT, "The account has as many credentials as it may";
    /// Nothing was promised about this digest: it waits for validators, or was refused by one, or was accepted before promises
    /// were signed. `proof_status` says how far it is.
    PromiseMissing = "promise_missing", CONFLICT, "There is no promise";
    /// The account has fewer validators than it wants approvals. Nothing was stored. Ask the account's manager or the operator to name
    /// validators.
    ValidatorsMissing = "validators_missing", CONFLICT, "The account has too few validators";
    /// The document was accepted or refused before; `state` says which.
    ValidationSettled = "validation_settled", CONFLICT, "The document is settled already";
    /// This validator decided otherwise about this document before, and that stands: `decision` says how.
    DecisionDiffers = "decision_differs", CONFLICT, "This validator decided otherwise before";
    /// The account's log of events ends before this place; `last` says where. A service restored from a backup has a shorter
    /// log than before: read it again from a place of which you are sure, events have ids.
    CursorUnknown = "cursor_unknown", CONFLICT, "The log has no such place";
    /// The account has as many webhooks as it may have. Delete one first.
    WebhooksCount = "webhooks_count", CONFLICT, "Too many webhooks";
    /// The body is longer than the route takes.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    /// The body must be `application/json` without content coding.
    MediaTypeUnsupported = "media_type_unsupported", UNSUPPORTED_MEDIA_TYPE, "The body has another media type than the route takes";
    /// The body is JSON of another shape than the route takes: a member is missing, unknown, twice there or of another type.
    BodyInvalid = "body_invalid", UNPROCESSABLE_ENTITY, "The body is not what this route takes";
    /// A submission has 1 to 10,000 proofs.
    ProofsCount = "proofs_count", UNPROCESSABLE_ENTITY, "Too few or too many proofs";
    /// The `Idempotency-Key` was used for another request before. Nothing was done: take a new key.
    IdempotencyKeyReused = "idempotency_key_reused", UNPROCESSABLE_ENTITY, "The key was used for another request";
    /// Some proofs of the submission are not in order, and nothing of it was stored. `errors` lists the first 100 by
    /// their position in the submission, `error_count` says how many there are.
    ProofsInvalid = "proofs_invalid", UNPROCESSABLE_ENTITY, "Some proofs are not in order";
    /// Nothing is sent to this address: webhooks lead to public addresses, over TLS.
    WebhookUrlRefused = "webhook_url_refused", UNPROCESSABLE_ENTITY, "A webhook may not lead there";
    /// Too many requests in too short a time. Try again after `Retry-After` seconds; the fields `RateLimit-Policy` and
    /// `RateLimit` tell how much is left.
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests";
    /// The account has used up its new digests of the day. Nothing of the submission was stored; of a stream, nothing of the
    /// lines that say so. Try again after `Retry-After` seconds, when the next day begins (UTC); digests that were submitted before
    /// are answered all the same.
    QuotaExceeded = "quota_exceeded", TOO_MANY_REQUESTS, "No digests are left for today";
    /// A fault of this service. Tell the operator the request id.
    Internal = "internal", INTERNAL_SERVER_ERROR, "The service failed";
    /// More submissions are waiting than the pool takes. Nothing of this one was stored. Try again after `Retry-After` seconds.
    PoolFull = "pool_full", SERVICE_UNAVAILABLE, "The pool takes no more for the moment";
    /// The service cannot do its work for the moment. Try again after `Retry-After` seconds: repeating a submission is safe.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "The service is not available for the moment";
    /// The service was restored from a backup and is older than the chain. Nothing is accepted until its operator has decided
    /// how to go on; reading does. Nothing of this submission was stored: try again after `Retry-After` seconds, and submit
    /// again whatever has no receipt.
    ReadOnly = "read_only", SERVICE_UNAVAILABLE, "The service only reads for the moment";
    /// This instance should not get requests. `checks` says what is amiss.
    NotReady = "not_ready", SERVICE_UNAVAILABLE, "The instance is not ready";
    /// The answer took too long. What was asked for may have been done; repeating a submission is safe.
    Timeout = "timeout", GATEWAY_TIMEOUT, "The answer took too long";
}

impl Code {
    /// The code of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }

    /// Why a token was not taken, where this says so.
    #[must_use]
    pub const fn token_failure(self) -> Option<TokenFailure> {
        match self {
            Self::TokenMissing
            | Self::TokenInvalid
            | Self::TokenExpired
            | Self::ScopeMissing
            | Self::AccountDisabled
            | Self::AuthenticationFailed => Some(TokenFailure(self.as_str())),
            _ => None,
        }
    }

    /// The code for an answer that came from below our own handlers with nothing but a status.
    #[must_use]
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::REQUEST_TIMEOUT => Self::RequestTimeout,
            StatusCode::PAYLOAD_TOO_LARGE => Self::BodyTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::MediaTypeUnsupported,
            StatusCode::TOO_MANY_REQUESTS => Self::RateLimited,
            status if status.is_client_error() => Self::BadRequest,
            _ => Self::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_snake_case_and_described() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        for code in Code::ALL {
            assert!(code.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code:?}");
            assert!(code.status().as_u16() >= 400, "{code:?}");
            assert!(code.description().ends_with('.'), "{code:?}");
            assert_eq!(Code::parse(code.as_str()), Some(*code));
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
    }
}
