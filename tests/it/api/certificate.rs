//! Certificates: at every stage, in both languages, and never with another receipt than the receipt's own route gives.

use reqwest::header::{ACCEPT_LANGUAGE, IF_NONE_MATCH};
use reqwest::{Response, StatusCode};
use sceau::ledger::accounts::Role;
use sceau_verifier::certificate::NoReceipt;
use sceau_verifier::{Digest, Trust, Verdict, verify};
use serde_json::{Value, json};

use crate::api::kit::{PUBLIC_URL, Service, digest, problem, service};
use crate::api::receipt::{REGISTRY, finish, include, target};
use crate::certificate::{attachments, code, judge, metadata, pages};
use crate::validations::office;

async fn get(service: &Service, digest: Digest, token: &str, languages: &str) -> Response {
    let request = service.client.get(format!("{}/v1/proofs/{digest}/certificate", service.base)).bearer_auth(token);
    request.header(ACCEPT_LANGUAGE, languages).send().await.unwrap()
}

async fn pdf(service: &Service, digest: Digest, token: &str, languages: &str) -> Vec<u8> {
    let answer = get(service, digest, token, languages).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "application/pdf");
    answer.bytes().await.unwrap().to_vec()
}

async fn receipt(service: &Service, digest: Digest, token: &str) -> Vec<u8> {
    service.get(&format!("/v1/proofs/{digest}/receipt"), token).await.bytes().await.unwrap().to_vec()
}

/// Everything that holds at every stage; answers the text where poppler is there to read it.
fn sound(pdf: &[u8], receipt: Option<&[u8]>, batch: u64, digest: Digest) -> String {
    let url = format!("{PUBLIC_URL}/check/{batch}#{digest}");
    assert_eq!(code(pdf), url);
    let attached = attachments(pdf);
    match receipt {
        None => assert!(attached.is_empty() && sceau_verifier::certificate::receipt(pdf) == Err(NoReceipt::None)),
        Some(receipt) => {
            assert_eq!(attached["receipt.json"], ("Source".to_owned(), receipt.to_vec()));
            assert_eq!(attached.len(), 1);
            assert_eq!(sceau_verifier::certificate::receipt(pdf), Ok(receipt));
        }
    }
    let about = metadata(pdf);
    for claim in ["<pdfaid:part>3</pdfaid:part>", "<pdfaid:conformance>A</pdfaid:conformance>", "<pdfuaid:part>1</pdfuaid:part>"]
    {
        assert!(about.contains(claim), "{claim} in {about}");
    }
    judge(pdf, receipt, &url).unwrap_or_default()
}

#[tokio::test]
async fn the_life_of_a_certificate() {
    let service = service().await;
    let (_, token) = service.partner("Étude Martin & Associés").await;
    let target = target(&service, 31_337, REGISTRY).await;
    let item = json!({ "digest": digest(1), "file_name": "État « définitif ».pdf", "reference": "2026/44" });
    service.post("/v1/proofs", &token, &json!({ "proofs": [item, { "digest": digest(2) }] })).await;

    let early = pdf(&service, digest(1), &token, "fr").await;
    let text = sound(&early, None, 1, digest(1));
    assert!(text.is_empty() || text.contains("EN ATTENTE DE SCELLEMENT") && text.contains("RÉSEAU DE TEST"), "{text}");

    let batch = service.seal().await;
    let sealed = pdf(&service, digest(1), &token, "en").await;
    let inside = sceau_verifier::certificate::receipt(&sealed).unwrap().to_vec();
    let text = sound(&sealed, Some(&inside), batch, digest(1));
    assert!(text.is_empty() || text.contains("SEALED — NOT ANCHORED YET"), "{text}");
    let report = verify::verify_bytes(&digest(1), &inside, &Trust::default());
    assert_eq!((report.verdict, report.code.to_string()), (Verdict::NotYet, "no_anchor".into()));

    let anchored = include(&service, target, batch, 31_337, REGISTRY).await;
    let now = pdf(&service, digest(1), &token, "fr").await;
    let text = sound(&now, Some(&receipt(&service, digest(1), &token).await), batch, digest(1));
    assert!(text.is_empty() || text.contains("PAS ENCORE DÉFINITIF") && text.contains("ATTESTATION"), "{text}");

    finish(&service, target, batch, &anchored).await;
    let answer = get(&service, digest(1), &token, "fr-FR, en;q=0.5").await;
    let headers = answer.headers().clone();
    assert_eq!(headers["content-language"], "fr");
    assert_eq!(headers["vary"], "Accept-Language, Authorization");
    assert_eq!(headers["cache-control"], "private, max-age=3600");
    assert_eq!(
        headers["content-disposition"],
        "inline; filename=\"certificat-_tat _ d_finitif _.pdf.pdf\"; \
         filename*=UTF-8''certificat-%C3%89tat%20%C2%AB%20d%C3%A9finitif%20%C2%BB.pdf.pdf"
    );
    let done = answer.bytes().await.unwrap().to_vec();
    let inside = receipt(&service, digest(1), &token).await;
    let text = sound(&done, Some(&inside), batch, digest(1));
    for words in
        ["CERTIFICAT", "RÉSEAU DE TEST", "État « définitif ».pdf", "2026/44", "Étude Martin & Associés", &digest(1).to_string()]
    {
        assert!(text.is_empty() || text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("PAS ENCORE"), "{text}");
    assert!(pages(&done) >= 2);
    // What was attached verifies offline.
    let trust = Trust { block_hashes: [anchored.0.block_hash.into()].into(), ..Trust::default() };
    assert_eq!(verify::verify_bytes(&digest(1), &inside, &trust).verdict, Verdict::Verified);

    assert_eq!(done, pdf(&service, digest(1), &token, "fr").await, "the same bytes each time");
    assert_ne!(done, pdf(&service, digest(1), &token, "en").await);
    let again = service.client.get(format!("{}/v1/proofs/{}/certificate", service.base, digest(1))).bearer_auth(&token);
    let again = again.header(IF_NONE_MATCH, headers["etag"].clone()).send().await.unwrap();
    assert_eq!((again.status(), &again.headers()["etag"]), (StatusCode::NOT_MODIFIED, &headers["etag"]));

    let unnamed = get(&service, digest(2), &token, "en").await;
    let disposition = unnamed.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(disposition.starts_with(&format!("inline; filename=\"certificate-{}.pdf\"", &digest(2).to_string()[..16])));
}

#[tokio::test]
async fn only_the_owner_is_handed_a_certificate_and_questions_are_read_strictly() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let (_, stranger) = service.partner("b").await;
    service.submit(&token, &[digest(1)]).await;
    let path = |digest: Digest, query: &str| format!("/v1/proofs/{digest}/certificate{query}");
    problem(service.get(&path(digest(1), ""), &stranger).await, 404, "proof_unknown").await;
    problem(service.get(&path(digest(2), ""), &token).await, 404, "proof_unknown").await;
    problem(service.get(&path(digest(1), ""), "").await, 401, "token_missing").await;
    problem(service.get("/v1/proofs/abc/certificate", &token).await, 400, "digest_invalid").await;
    for query in ["?lang=de", "?lang=", "?lang=fr&lang=en", "?language=fr"] {
        problem(service.get(&path(digest(1), query), &token).await, 400, "query_invalid").await;
    }
    let english = service.get(&path(digest(1), "?lang=en"), &token).await;
    assert_eq!((english.status(), &english.headers()["content-language"]), (StatusCode::OK, &"en".parse().unwrap()));
    assert_eq!(english.headers()["cache-control"], "no-store");
    let reader = service.account("v", Role::Validator).await;
    let reader = service.token(&reader).await;
    problem(service.get(&path(digest(1), ""), &reader).await, 404, "proof_unknown").await;
}

#[tokio::test]
async fn what_waits_or_was_refused_has_a_paper_that_says_so_and_is_no_certificate() {
    let service = service().await;
    let office = office(&service, 2, &["Maître Dupont", "Maître Durand"]).await;
    target(&service, 31_337, REGISTRY).await;
    let item = json!({ "digest": digest(1), "file_name": "acte.pdf" });
    let (_, waiting) = service.propose(&office.token, &json!({ "proofs": [item], "validation": true })).await;
    let link = waiting[0]["links"]["certificate"].as_str().unwrap().strip_prefix(PUBLIC_URL).unwrap().to_owned();
    assert_eq!(link, format!("/v1/proofs/{}/certificate", digest(1)));
    let id = waiting[0]["validation"]["id"].as_str().unwrap().to_owned();
    let paper = async |language: &str| {
        let answer = get(&service, digest(1), &office.token, language).await;
        let headers = answer.headers().clone();
        assert_eq!((answer.status(), &headers["cache-control"]), (StatusCode::OK, &"no-store".parse().unwrap()));
        let bytes = answer.bytes().await.unwrap().to_vec();
        assert_eq!(sceau_verifier::certificate::receipt(&bytes), Err(NoReceipt::None));
        assert!(attachments(&bytes).is_empty());
        let url = format!("{PUBLIC_URL}/check#{}", digest(1));
        assert_eq!(code(&bytes), url);
        (judge(&bytes, None, &url).unwrap_or_default(), headers["content-disposition"].to_str().unwrap().to_owned())
    };
    let has = |text: &str, words: &[&str]| {
        for words in words {
            assert!(text.is_empty() || text.contains(words), "{words}: {text}");
        }
        for words in ["CERTIFICAT D’", "CERTIFICATE OF", "Accepté le", "Accepted on"] {
            assert!(!text.contains(words), "{words}: {text}");
        }
    };
    let (text, name) = paper("fr").await;
    assert!(name.starts_with("inline; filename=\"releve-de-situation-acte.pdf.pdf\""), "{name}");
    has(&text, &["NON ENREGISTRÉ", "EN ATTENTE DE VALIDATION", "0 sur 2", "Soumis le", "ceci n’est pas un certificat"]);
    assert_eq!(service.decide(&office.validators[0].1, &id, "approve").await.status(), StatusCode::OK);
    has(&paper("en").await.0, &["NOT REGISTERED", "AWAITING VALIDATION", "1 of 2", "Maître Dupont", "approved on"]);
    assert_eq!(service.decide(&office.validators[1].1, &id, "refuse").await.status(), StatusCode::OK);
    let (text, name) = paper("fr").await;
    assert!(name.starts_with("inline; filename=\"releve-de-situation-"), "{name}");
    has(&text, &["NON ENREGISTRÉ", "REFUSÉ PAR SON VALIDATEUR", "Maître Durand", "a refusé le", "RÉSEAU DE TEST"]);
    // For its owner alone: not for its validators, who see it elsewhere.
    let (_, stranger) = service.partner("b").await;
    for other in [&stranger, &office.validators[0].1] {
        problem(service.get(&link, other).await, 404, "proof_unknown").await;
    }
    // In another round, approved, it is a proof, and has a certificate in the making.
    let item = json!({ "digest": digest(1), "again": true, "validation": true });
    let (_, again) = service.propose(&office.token, &json!({ "proofs": [item] })).await;
    let id = again[0]["validation"]["id"].as_str().unwrap();
    has(&paper("fr").await.0, &["EN ATTENTE DE VALIDATION", "0 sur 2"]);
    for (_, token) in &office.validators {
        service.decide(token, id, "approve").await;
    }
    let early = pdf(&service, digest(1), &office.token, "fr").await;
    let text = sound(&early, None, 1, digest(1));
    assert!(text.is_empty() || text.contains("ATTESTATION PROVISOIRE") || text.contains("ATTESTATION"), "{text}");
    assert!(!text.contains("NON ENREGISTRÉ"), "{text}");
}

#[tokio::test]
async fn hostile_names_are_tamed_and_long_ones_are_whole() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let long = "é".repeat(255);
    let names = [
        "facture\u{202e}fdp.exe",
        "a\r\nSet-Cookie: x=1\"; filename=evil.exe",
        &long,
        "../../etc/passwd",
        "契約\u{301}\u{301}\u{301}\u{200b}.pdf",
        "stream\n{\"format\":\"sceau-receipt/1\",\nendstream",
    ];
    let items: Vec<Value> =
        names.iter().enumerate().map(|(at, name)| json!({ "digest": digest(at as u64), "file_name": name })).collect();
    assert_eq!(service.post("/v1/proofs", &token, &json!({ "proofs": items })).await.status(), StatusCode::CREATED);
    let batch = service.seal().await;
    for (at, name) in names.iter().enumerate() {
        let answer = get(&service, digest(at as u64), &token, "en").await;
        let headers = answer.headers().clone();
        let disposition = headers["content-disposition"].to_str().unwrap();
        assert_eq!(disposition.matches('"').count(), 2, "{disposition}");
        assert!(
            !disposition.contains("%0D") && !disposition.contains("%2F") && !disposition.contains("%E2%80%AE"),
            "{disposition}"
        );
        assert!(!headers.contains_key("set-cookie"));
        let bytes = answer.bytes().await.unwrap().to_vec();
        let inside = sceau_verifier::certificate::receipt(&bytes).unwrap_or_else(|error| panic!("{name:?}: {error}")).to_vec();
        let text = sound(&bytes, Some(&inside), batch, digest(at as u64));
        assert!(!text.contains('\u{202e}') && !text.contains('\u{200b}'), "{text:?}");
        if at == 0 && !text.is_empty() {
            assert!(text.contains("facture[U+202E]fdp.exe"), "{text}");
        }
        if name == &long && !text.is_empty() {
            assert_eq!(text.matches('é').count(), 255, "every letter is there: {text}");
        }
    }
}

#[tokio::test]
async fn the_code_leads_to_a_page_that_tells_what_is_public() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let target = target(&service, 11_155_111, REGISTRY).await;
    service.submit(&token, &[digest(1)]).await;
    let batch = service.seal().await;
    let anchored = include(&service, target, batch, 11_155_111, REGISTRY).await;
    let page = service.get(&format!("/check/{batch}"), "").await;
    assert_eq!((page.status(), &page.headers()["content-type"]), (StatusCode::OK, &"text/html; charset=utf-8".parse().unwrap()));
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'; script-src 'sha256-"));
    let text = page.text().await.unwrap();
    for words in ["Sepolia", "RÉSEAU DE TEST", "pas encore définitif", &format!("0x{}", hex::encode(anchored.0.block_hash))] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains(&digest(1).to_string()), "the digest stays in the reader's browser");
    assert!(!text.contains("{facts}") && !text.contains("{style}"));
    let english = service.client.get(format!("{}/check", service.base)).header(ACCEPT_LANGUAGE, "en").send().await.unwrap();
    assert!(english.text().await.unwrap().contains("Verify a certificate"));
    problem(service.get("/check/99", "").await, 404, "batch_unknown").await;
    problem(service.get("/check/01", "").await, 404, "batch_unknown").await;
}
