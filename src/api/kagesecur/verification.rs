//! `POST /verification`: is this document registered?

use axum::Json;
use axum::extract::Request;
use sceau_verifier::Digest;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

use super::session::{self, Claimed, Session, is_hash, text};
use super::{Dialect, auth, texts};
use crate::api::body::parse;
use crate::api::error::{Code, Result};
use crate::ledger::accounts::AccountId;
use crate::ledger::kagesecur::documents::Document;
use crate::ledger::kagesecur::identities::Identity;

/// ISO 8601 with milliseconds and `Z`.
const DATE: &[FormatItem<'_>] = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    hash: Option<&'a RawValue>,
}

#[derive(Debug, Serialize)]
struct Answer {
    resultat: &'static str,
    #[serde(flatten)]
    registered: Option<Registered>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Registered {
    date: String,
    validateur: Vec<String>,
    identifiant: String,
    file_name: String,
    auth: String,
    hashfile: Digest,
    hash_file: Digest,
    statut: &'static str,
    lot: u64,
    recu: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_declaree: Option<String>,
}

/// Goes on when the subscription has expired.
///
/// # Errors
/// [`Code::AuthenticationFailed`], [`Code::AddressRefused`], [`Code::RateLimited`].
pub(super) async fn verification(dialect: Dialect, request: Request) -> Result<Json<impl Serialize>> {
    let (head, stream) = request.into_parts();
    let session = Session::of(&dialect, &head.headers)?;
    let bytes = session::read_body(&dialect, &head.headers, stream).await?;
    let asker = session.asker(&dialect, &head, &parse::<Claimed<'_>>(&bytes)?).await?;
    let hash = text(parse::<Body<'_>>(&bytes)?.hash).filter(|hash| is_hash(hash)).and_then(|hash| hash.parse().ok());
    let (resultat, registered) = match (asker, hash) {
        (Some(asker), Some(doubled)) => find(&dialect, &asker, doubled).await?,
        _ => (texts::NON_CONFORME, None),
    };
    Ok(Json(Answer { resultat, registered, jwt: session.renewed(&dialect) }))
}

async fn find(dialect: &Dialect, asker: &Identity, doubled: Digest) -> Result<(&'static str, Option<Registered>)> {
    Ok(match dialect.api.ledger.document(asker.account, &doubled).await? {
        Document::Unknown => (texts::PAS_ENREGISTRE, None),
        Document::Awaiting => (texts::PAS_ENCORE_VALIDE, None),
        Document::Refused => (texts::REFUSE, None),
        Document::Foreign => (texts::PAS_A_VOUS, None),
        Document::Known { owner, identifiant, digest } => {
            (texts::ENREGISTRE, Some(registered(dialect, owner, identifiant, &digest, doubled).await?))
        }
    })
}

async fn registered(
    dialect: &Dialect,
    owner: AccountId,
    identifiant: String,
    digest: &Digest,
    doubled: Digest,
) -> Result<Registered> {
    let ledger = &dialect.api.ledger;
    let proof = ledger.proof(owner, digest).await?;
    let proof = proof.ok_or_else(|| Code::Internal.because(format!("doubled digest {doubled} has no proof")))?;
    let approvals = ledger.approvals_of(owner, digest).await?;
    let declared = ledger.declared_date(owner, digest).await?;
    let auth = auth::open(dialect, owner, digest).await?;
    Ok(Registered {
        date: date(proof.received_at)?,
        validateur: approvals.into_iter().map(|approval| approval.validator_name).collect(),
        identifiant,
        file_name: proof.detail.file_name.unwrap_or_default(),
        recu: format!("{}/recu/{auth}", dialect.told.public_url),
        auth,
        hashfile: doubled,
        hash_file: doubled,
        statut: texts::statut(proof.status),
        lot: proof.batch,
        date_declaree: declared.map(date).transpose()?,
    })
}

fn date(time: OffsetDateTime) -> Result<String> {
    time.to_offset(time::UtcOffset::UTC).format(DATE).map_err(|error| Code::Internal.because(error))
}
