//! `GET /check` and `GET /check/{number}`: where the QR code of a certificate leads. A page for people, public like the
//! batch it shows. The digest stands behind the `#`, which browsers keep to themselves; a file is hashed in the browser.

use std::fmt::Write;

use axum::extract::Path;
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sceau_verifier::{ChainRef, Digest, Hash32, utc};

use crate::api::State;
use crate::api::error::{Code, Result};
use crate::api::partner::batch::number;
use crate::certificate::{Language, chain};
use crate::ledger::anchors::{Anchor, AnchorState};
use crate::ledger::batches::Batch;

const SCRIPT: &str = include_str!("check/page.js");
const STYLE: &str = include_str!("check/page.css");

/// The page without a batch: how a certificate is checked.
pub async fn any(headers: HeaderMap) -> Response {
    page(crate::api::certificate::language(None, &headers), None)
}

/// The page of a batch.
///
/// # Errors
/// [`Code::BatchUnknown`].
pub async fn batch(api: State, Path(text): Path<String>, headers: HeaderMap) -> Result<Response> {
    let number = number(&text).ok_or(Code::BatchUnknown)?;
    let root = match api.ledger.batch(number).await?.ok_or(Code::BatchUnknown)? {
        Batch::Sealed(sealed) => Some(Digest::from(sealed.root)),
        Batch::Lost { root, .. } => Some(Digest::from(root)),
        Batch::Unsealed { .. } => None,
    };
    let anchors = if root.is_some() { api.ledger.anchors(number).await? } else { Vec::new() };
    Ok(page(crate::api::certificate::language(None, &headers), Some((number, root, anchors))))
}

/// `text` as HTML shows it.
pub(in crate::api) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn page(language: Language, batch: Option<(u64, Option<Digest>, Vec<Anchor>)>) -> Response {
    let template = match language {
        Language::French => include_str!("check/fr.html"),
        Language::English => include_str!("check/en.html"),
    };
    let facts = batch.map(|(number, root, anchors)| facts(language, number, root, &anchors)).unwrap_or_default();
    let body = template.replace("{style}", STYLE).replace("{script}", SCRIPT).replace("{facts}", &facts);
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Digest::of(text.as_bytes())));
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    let head = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CONTENT_LANGUAGE, language.tag().to_owned()),
        (VARY, "Accept-Language".to_owned()),
        (CACHE_CONTROL, "public, max-age=5".to_owned()),
        (CONTENT_SECURITY_POLICY, policy),
        (REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (head, body).into_response()
}

/// What is public of a batch, as a table.
fn facts(language: Language, number: u64, root: Option<Digest>, anchors: &[Anchor]) -> String {
    let french = language == Language::French;
    let say = |fr: &'static str, en: &'static str| if french { fr } else { en };
    let mut table = String::from("<table>");
    let mut row = |label: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = write!(table, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", escaped(label), escaped(value));
    };
    row(say("Lot", "Batch"), &number.to_string());
    match root {
        Some(root) => row(say("Racine", "Root"), &root.to_string()),
        None => row(say("État", "Status"), say("pas encore scellé", "not sealed yet")),
    }
    for anchor in anchors {
        let id = ChainRef::new(anchor.chain_id).map(|chain| chain.to_string()).unwrap_or_default();
        let name = chain::known(anchor.chain_id).0.map_or_else(|| id.clone(), |name| format!("{name} ({id})"));
        let test = if chain::is_test(anchor.chain_id) { say(" — RÉSEAU DE TEST", " — TEST NETWORK") } else { "" };
        row(say("Chaîne", "Chain"), &format!("{name}{test}"));
        row(say("Registre", "Registry"), &sceau_verifier::Address::from(anchor.registry).to_string());
        let state = match anchor.state {
            AnchorState::Final => say("définitif", "final"),
            AnchorState::Included => say("pas encore définitif", "not final yet"),
            AnchorState::Planned | AnchorState::Sent => say("pas encore ancré", "not anchored yet"),
            AnchorState::Withdrawn => say("registre retiré du service", "registry retired"),
        };
        row(say("État", "Status"), state);
        if let Some(place) = &anchor.place {
            let time = utc::format(place.block_time).unwrap_or_default();
            row(say("Bloc", "Block"), &format!("{} — {time}", place.block_number));
            row(say("Empreinte du bloc", "Hash of the block"), &Hash32::from(place.block_hash).to_string());
        }
    }
    table.push_str("</table>");
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_whole_and_their_policy_lets_only_their_own_script_run() {
        for language in Language::ALL {
            let response = page(language, Some((7, Some(Digest::of(b"root")), Vec::new())));
            let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
            assert_eq!(response.headers()[CONTENT_LANGUAGE], language.tag());
        }
        assert_eq!(escaped("<a href=\"&\">"), "&lt;a href=&quot;&amp;&quot;&gt;");
        assert!(facts(Language::French, 7, None, &[]).contains("pas encore scellé"));
    }

    #[test]
    fn templates_hold_every_part_once() {
        for template in [include_str!("check/fr.html"), include_str!("check/en.html")] {
            for part in ["<style>{style}</style>", "<script>{script}</script>", "{facts}"] {
                assert_eq!(template.matches(part).count(), 1, "{part}");
            }
            for id in ["digest", "file", "result", "same", "other"] {
                assert_eq!(template.matches(&format!("id=\"{id}\"")).count(), 1, "{id}");
            }
        }
    }
}
