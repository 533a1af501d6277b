//! Certificates over HTTP: what the ledger knows of a proof, rendered, with the headers that go with it.

use axum::http::StatusCode;
use axum::http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LANGUAGE, CONTENT_TYPE, ETAG, HeaderMap, VARY,
};
use axum::response::{IntoResponse, Response};
use sceau_verifier::Digest;
use sceau_verifier::decision::Choice;
use time::OffsetDateTime;
use tokio::sync::Semaphore;

use super::error::{Code, Result};
use super::receipt::Assembled;
use super::{State, etag, receipt};
use crate::certificate::{self, Certificate, Language, Stage};
use crate::ledger::accounts::AccountId;
use crate::ledger::intake::Detail;
use crate::ledger::proofs::Proof;
use crate::ledger::validations::{Decision, State as Standing, Validation};

/// Renderings at once in one process: each takes a core for a while, and submissions need cores too.
static RENDERINGS: Semaphore = Semaphore::const_new(2);

/// A rendered certificate.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The PDF.
    pub pdf: Vec<u8>,
    /// A name for it.
    pub file_name: String,
    /// Its language.
    pub language: Language,
    /// Everything in it is final, and every planned anchor is: it stays as it is.
    pub complete: bool,
}

/// The language a request asks for: `wish` (the parameter `lang`) where there is one, else the best of `Accept-Language`.
#[must_use]
pub fn language(wish: Option<Language>, headers: &HeaderMap) -> Language {
    let accepted = headers.get_all(ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok());
    wish.unwrap_or_else(|| Language::negotiate(accepted))
}

/// What is drawn, gathered.
struct Facts {
    owner: String,
    digest: Digest,
    detail: Detail,
    received_at: OffsetDateTime,
    anchor_by: Option<OffsetDateTime>,
    stage: Staged,
    decisions: Vec<Decision>,
    verify_url: String,
}

enum Staged {
    Awaiting(u32),
    Refused,
    Pending(u64),
    Sealed(Box<Assembled>),
}

/// Renders the certificate of an account's proof, with the approvals it has.
///
/// # Errors
/// When the ledger cannot be asked, or holds what gives no certificate.
pub async fn render(api: &State, account: AccountId, proof: &Proof, language: Language) -> Result<Rendered> {
    let assembled = receipt::assemble(&api.ledger, &api.known, proof).await?;
    let facts = Facts {
        owner: api.ledger.account_name(account).await?,
        digest: proof.digest,
        detail: proof.detail.clone(),
        received_at: proof.received_at,
        anchor_by: proof.anchor_by,
        stage: assembled.map_or(Staged::Pending(proof.batch), |assembled| Staged::Sealed(Box::new(assembled))),
        decisions: api.ledger.approvals_of(account, &proof.digest).await?,
        verify_url: format!("{}/check/{}#{}", api.public_url, proof.batch, proof.digest),
    };
    draw(api, facts, language).await
}

/// Renders how a document stands that waits for validators, or was refused by one: no certificate, and it says so.
///
/// # Errors
/// When the ledger cannot be asked.
pub async fn render_held(api: &State, validation: Validation, language: Language) -> Result<Rendered> {
    let facts = Facts {
        owner: validation.account_name,
        digest: validation.digest,
        detail: validation.detail,
        received_at: validation.received_at,
        anchor_by: None,
        stage: match validation.state {
            Standing::Refused => Staged::Refused,
            Standing::Awaiting | Standing::Accepted => Staged::Awaiting(validation.approvals_needed),
        },
        decisions: validation.decisions,
        verify_url: format!("{}/check#{}", api.public_url, validation.digest),
    };
    draw(api, facts, language).await
}

async fn draw(api: &State, facts: Facts, language: Language) -> Result<Rendered> {
    let chains = api.ledger.chains().await?;
    let (as_of, anchor_by) = (api.ports.clock.now(), api.deadline.kept(facts.anchor_by, facts.received_at));
    let permit = RENDERINGS.acquire().await.map_err(|error| Code::Internal.because(error))?;
    let rendered = tokio::task::spawn_blocking(move || {
        // Held until the work is done, also when nobody waits for it any more.
        let _permit = permit;
        let decisions: Vec<certificate::Decision<'_>> = facts
            .decisions
            .iter()
            .map(|decision| certificate::Decision {
                validator: &decision.validator_name,
                approved: decision.choice == Choice::Approved,
                comment: Some(&*decision.comment).filter(|comment| !comment.is_empty()),
                at: decision.decided_at,
            })
            .collect();
        let certificate = Certificate {
            language,
            digest: &facts.digest,
            file_name: facts.detail.file_name.as_deref(),
            reference: facts.detail.reference.as_deref(),
            owner: &facts.owner,
            received_at: facts.received_at,
            anchor_by,
            stage: match &facts.stage {
                Staged::Awaiting(needed) => Stage::AwaitingValidation(*needed),
                Staged::Refused => Stage::Refused,
                Staged::Pending(batch) => Stage::Pending(*batch),
                Staged::Sealed(assembled) => Stage::Sealed(&assembled.receipt),
            },
            chains: &chains,
            decisions: &decisions,
            verify_url: &facts.verify_url,
            as_of,
        };
        let whole = matches!(&facts.stage, Staged::Sealed(assembled) if assembled.complete);
        let complete = certificate.is_final() && whole;
        let pdf = certificate::render(&certificate)?;
        Ok::<_, certificate::CertificateError>(Rendered { pdf, file_name: certificate.file_name(), language, complete })
    });
    rendered.await.map_err(|error| Code::Internal.because(error))?.map_err(|error| Code::Internal.because(error))
}

/// The answer that carries it: 200, or 304 where the client has it already.
#[must_use]
pub fn answer(rendered: Rendered, headers: &HeaderMap) -> Response {
    // A year would be true of the receipt; how it is drawn may get better.
    let cache = if rendered.complete { "private, max-age=3600" } else { "no-store" };
    let (tag, same) = etag(&rendered.pdf, headers);
    let head = [
        (CACHE_CONTROL, cache.to_owned()),
        (ETAG, tag),
        (VARY, "Accept-Language, Authorization".to_owned()),
        (CONTENT_LANGUAGE, rendered.language.tag().to_owned()),
    ];
    if same {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    let body = [(CONTENT_TYPE, "application/pdf".to_owned()), (CONTENT_DISPOSITION, disposition(&rendered.file_name))];
    (head, body, rendered.pdf).into_response()
}

/// `Content-Disposition` (RFC 6266) with the name in ASCII and, where that is not all of it, in the form of RFC 8187.
fn disposition(name: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || " .-_()".contains(character);
    let ascii: String = name.chars().map(|character| if plain(character) { character } else { '_' }).collect();
    let attr = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte);
    let coded: String =
        name.bytes().map(|byte| if attr(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect();
    format!("inline; filename=\"{ascii}\"; filename*=UTF-8''{coded}")
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn a_name_is_written_in_both_forms() {
        assert_eq!(
            disposition("certificat-état \"1\"\r\n;x.pdf"),
            "inline; filename=\"certificat-_tat _1____x.pdf\"; filename*=UTF-8''certificat-%C3%A9tat%20%221%22%0D%0A%3Bx.pdf"
        );
    }
}
