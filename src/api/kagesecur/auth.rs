//! `auth`: a number of digits that opens a document's certificate and receipt for a time, without a login.

use axum::extract::{Path, Request};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use sceau_verifier::Digest;
use time::{Duration, OffsetDateTime};

use super::Dialect;
use super::jwt::millis;
use super::session::meter;
use crate::api::access::peer;
use crate::api::access::secret::Domain;
use crate::api::error::{Code, Result};
use crate::api::{certificate, receipt};
use crate::ledger::accounts::AccountId;
use crate::ledger::proofs::Proof;

/// Within this time a document has one number, so that verifying again and again stores one row.
const WINDOW: Duration = Duration::HOUR;
/// Digits of the time, milliseconds since 1970.
const TIME: usize = 13;
/// Digits of the secret: 128 bits in decimal.
const SECRET: usize = 39;

/// The number of the account's document at `now`: the beginning of the hour in milliseconds, and 39 digits that only
/// this service can compute. It opens what it opens for at least `auth_life`.
pub(super) async fn open(dialect: &Dialect, account: AccountId, digest: &Digest) -> Result<String> {
    let now = dialect.api.ports.clock.now();
    let (auth, start) = number(dialect, account, digest, now);
    let life = Duration::try_from(dialect.told.auth_life).unwrap_or(Duration::MAX);
    let until = start.saturating_add(WINDOW).saturating_add(life).min(crate::api::LAST);
    let hash = dialect.api.pepper.keyed(Domain::AuthHash, auth.as_bytes());
    dialect.api.ledger.remember_link(&hash, account, digest, until, now).await?;
    Ok(auth)
}

fn number(dialect: &Dialect, account: AccountId, digest: &Digest, now: OffsetDateTime) -> (String, OffsetDateTime) {
    let start = now - Duration::milliseconds(millis(now).rem_euclid(WINDOW.whole_milliseconds() as i64));
    let start = start - Duration::nanoseconds(i64::from(start.nanosecond() % 1_000_000));
    let of = [&account.0.to_be_bytes()[..], digest.as_ref(), &millis(start).to_be_bytes()].concat();
    let mac = dialect.api.pepper.keyed(Domain::Auth, &of);
    let secret = u128::from_be_bytes(mac[..16].try_into().expect("16 of 32 bytes"));
    (format!("{:0TIME$}{secret:0SECRET$}", millis(start)), start)
}

/// The proof behind a number. Opening it is a request of the proof's account, wherever it comes from: who has the number may
/// ask from anywhere. Numbers that open nothing are attempts of their address.
///
/// # Errors
/// [`Code::LinkUnknown`] for one that never existed or has expired: which of them is not said; [`Code::RateLimited`].
async fn opened(dialect: &Dialect, auth: &str, request: Request) -> Result<(AccountId, Proof)> {
    let (head, _) = request.into_parts();
    let (address, meter, rates) = (peer::address(&head, &dialect.api.trusted), meter(&head), &dialect.api.rates);
    rates.may_try(address, &meter)?;
    let digits = auth.len() == TIME + SECRET && auth.bytes().all(|byte| byte.is_ascii_digit());
    let hash = dialect.api.pepper.keyed(Domain::AuthHash, auth.as_bytes());
    let linked = dialect.api.ledger.linked(&hash, dialect.api.ports.clock.now()).await?.filter(|_| digits);
    let Some((account, digest, limits)) = linked else {
        rates.stranger(address, &meter)?;
        return Err(Code::LinkUnknown.into());
    };
    rates.account(account, &limits, &meter)?;
    let proof = dialect.api.ledger.proof(account, &digest).await?.ok_or(Code::LinkUnknown)?;
    Ok((account, proof))
}

/// `GET /certificat/{auth}`: the certificate as a PDF, of what is so now, in the language the reader asks for.
///
/// # Errors
/// [`Code::LinkUnknown`].
pub(super) async fn certificate(dialect: Dialect, Path(auth): Path<String>, request: Request) -> Result<Response> {
    let headers = request.headers().clone();
    let (account, proof) = opened(&dialect, &auth, request).await?;
    let language = certificate::language(None, &headers);
    let rendered = certificate::render(&dialect.api, account, &proof, language).await?;
    Ok(certificate::answer(rendered, &headers))
}

/// `GET /recu/{auth}`: the receipt in its canonical bytes, as soon as the root is in a block.
///
/// # Errors
/// [`Code::LinkUnknown`], [`Code::ReceiptNotReady`], [`Code::RateLimited`].
pub(super) async fn receipt(dialect: Dialect, Path(auth): Path<String>, request: Request) -> Result<Response> {
    let (_, proof) = opened(&dialect, &auth, request).await?;
    let text = receipt::text(&dialect.api.ledger, &dialect.api.known, proof.account, &proof.digest).await?;
    let Some(text) = text.filter(|text| text.anchors > 0) else {
        return Err(Code::ReceiptNotReady
            .with(format!("the proof is {}", proof.status.as_str()))
            .member("proof_status", proof.status.as_str())
            .retry_after(15));
    };
    Ok(([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], text.bytes).into_response())
}
