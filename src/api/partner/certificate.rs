//! `GET /v1/proofs/{digest}/certificate`.

use axum::extract::{Path, Query};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

use super::proof::{Found, find_any};
use crate::api::State;
use crate::api::access::caller::Caller;
use crate::api::certificate;
use crate::api::error::{Code, Result};

#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// Its language; without it `Accept-Language` decides, else it is French.
    #[schemars(extend("enum" = ["fr", "en"]))]
    lang: Option<String>,
}

/// The certificate of a proof of the caller's, as a PDF: of what is so now, however far the proof is. Of a document that waits
/// for validators, or was refused, the same says so and that it is none.
///
/// # Errors
/// [`Code::ProofUnknown`], [`Code::DigestInvalid`], [`Code::QueryInvalid`].
pub async fn certificate(
    api: State,
    caller: Caller,
    Path(digest): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let digest = super::digest_of_path(&digest)?;
    let refused = || Code::QueryInvalid.with("only lang=fr or lang=en");
    let wish = Query::<Wish>::try_from_uri(&uri).map_err(|_| refused())?.0.lang;
    let wish = wish.map(|lang| lang.parse()).transpose().map_err(|_| refused())?;
    let language = certificate::language(wish, &headers);
    let rendered = match find_any(&api, &caller, &digest).await? {
        Found::Proof(proof) => certificate::render(&api, caller.account, &proof, language).await?,
        Found::Held(validation) => certificate::render_held(&api, *validation, language).await?,
    };
    Ok(certificate::answer(rendered, &headers))
}
