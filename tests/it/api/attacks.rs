//! Forged, bent and stale tokens. Each is one change away from a token that is accepted.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::StatusCode;
use sceau::api::access::token::Tokens;
use serde_json::{Value, json};

use crate::api::kit::{LIFE, PUBLIC_URL, Service, TOKEN_KEY, problem, service, start};

fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

struct Forge {
    kid: String,
    x: String,
    claims: Value,
}

impl Forge {
    async fn new(service: &Service) -> Self {
        let (_, token) = service.partner("forged").await;
        let keys: Value = service.get("/.well-known/jwks.json", "").await.json().await.unwrap();
        let claims = token.split('.').nth(1).unwrap();
        Self {
            kid: keys["keys"][0]["kid"].as_str().unwrap().into(),
            x: keys["keys"][0]["x"].as_str().unwrap().into(),
            claims: serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap(),
        }
    }

    fn header(&self) -> Header {
        Header { typ: Some("at+jwt".into()), kid: Some(self.kid.clone()), ..Header::new(Algorithm::EdDSA) }
    }

    /// Signed with the service's own key: only what `change` changes is wrong.
    fn with(&self, change: impl FnOnce(&mut Header, &mut Value)) -> String {
        let (mut header, mut claims) = (self.header(), self.claims.clone());
        change(&mut header, &mut claims);
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_pem(TOKEN_KEY.as_bytes()).unwrap()).unwrap()
    }
}

const PATH: &str = "/v1/proofs/abababababababababababababababababababababababababababababababab";

#[tokio::test]
async fn the_attack_list() {
    let service = service().await;
    let forge = Forge::new(&service).await;
    let right = forge.with(|_, _| {});
    assert_eq!(service.get(PATH, &right).await.status(), StatusCode::NOT_FOUND, "the unchanged token is accepted");
    let full = forge.with(|header, _| header.typ = Some("application/at+jwt".into()));
    assert_eq!(service.get(PATH, &full).await.status(), StatusCode::NOT_FOUND, "RFC 9068 §4 allows the full media type");

    let body = part(&forge.claims);
    let none = |alg: &str| format!("{}.{body}.", part(&json!({ "alg": alg, "typ": "at+jwt", "kid": forge.kid })));
    let public = URL_SAFE_NO_PAD.decode(&forge.x).unwrap();
    let hs256 = |secret: &[u8]| {
        let header = Header { alg: Algorithm::HS256, ..forge.header() };
        jsonwebtoken::encode(&header, &forge.claims, &EncodingKey::from_secret(secret)).unwrap()
    };
    let foreign = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_der();
    let foreign = [&[0x30, 0x2e, 2, 1, 0], &foreign[5..48]].concat();
    let stolen_kid = jsonwebtoken::encode(&forge.header(), &forge.claims, &EncodingKey::from_ed_der(&foreign)).unwrap();
    let own_key = forge.with(|header, _| header.jku = Some("https://attacker.example/jwks.json".into()));
    assert_eq!(service.get(PATH, &own_key).await.status(), StatusCode::NOT_FOUND, "jku is not read, so it does no harm");

    let (signed, signature) = right.rsplit_once('.').unwrap();
    let twice = forge.claims.to_string().replacen('{', &format!("{{\"sub\":\"{}\",", 4711), 1);
    let twice = {
        let message = format!("{}.{}", right.split('.').next().unwrap(), URL_SAFE_NO_PAD.encode(twice));
        let signature = jsonwebtoken::crypto::sign(
            message.as_bytes(),
            &EncodingKey::from_ed_pem(TOKEN_KEY.as_bytes()).unwrap(),
            Algorithm::EdDSA,
        )
        .unwrap();
        format!("{message}.{signature}")
    };
    let set = |name: &'static str, value: Value| forge.with(|_, claims| claims[name] = value);
    let unset = |name: &'static str| forge.with(|_, claims| drop(claims.as_object_mut().unwrap().remove(name)));
    for (what, token) in [
        ("alg none", none("none")),
        ("alg None", none("None")),
        ("alg none with a signature", format!("{}{signature}", none("none"))),
        ("HS256 with the public key", hs256(&public)),
        ("HS256 with the public key as text", hs256(forge.x.as_bytes())),
        ("no signature", format!("{signed}.")),
        ("signature of another key under our kid", stolen_kid),
        ("typ JWT", forge.with(|header, _| header.typ = Some("JWT".into()))),
        ("no typ", forge.with(|header, _| header.typ = None)),
        ("unknown kid", forge.with(|header, _| header.kid = Some("other".into()))),
        ("kid as a path", forge.with(|header, _| header.kid = Some("../../dev/null".into()))),
        ("kid as SQL", forge.with(|header, _| header.kid = Some("' or 1=1 --".into()))),
        ("no kid", forge.with(|header, _| header.kid = None)),
        ("crit", forge.with(|header, _| header.crit = Some(vec!["exp".into()]))),
        ("iss", set("iss", "https://attacker.example".into())),
        ("iss with a slash", set("iss", format!("{PUBLIC_URL}/").into())),
        ("no iss", unset("iss")),
        ("aud", set("aud", "https://other.example".into())),
        ("no aud", unset("aud")),
        ("no exp", unset("exp")),
        ("exp as text", set("exp", "9999999999".into())),
        ("from the future", set("iat", json!(forge.claims["iat"].as_i64().unwrap() + 3600))),
        ("not yet", set("nbf", json!(forge.claims["iat"].as_i64().unwrap() + 3600))),
        ("of a generation to come", set("gen", json!(1))),
        ("sub of another account", set("sub", "4711".into())),
        ("sub with white space", set("sub", format!(" {}", forge.claims["sub"].as_str().unwrap()).into())),
        ("unknown client", set("client_id", "ck_nobody".into())),
        ("claim twice", twice),
        ("unknown scope", set("scope", "root".into())),
        ("unsigned tail", format!("{right}.e30")),
        ("tail behind the signature", format!("{right}AAAA")),
        ("one character of the claims", {
            let (head, rest) = right.split_once('.').unwrap();
            let flipped = if rest.starts_with('e') { 'f' } else { 'e' };
            format!("{head}.{flipped}{}", &rest[1..])
        }),
        ("nothing", String::from(".")),
        ("signed, but longer than any of ours", set("pad", "A".repeat(4000).into())),
        ("5 kB", format!("{right}{}", "A".repeat(5000))),
    ] {
        println!("{what}");
        let answer = service.get(PATH, &token).await;
        assert!(answer.headers()["www-authenticate"].to_str().unwrap().contains("error=\"invalid_token\""));
        problem(answer, 401, "token_invalid").await;
    }
}

#[tokio::test]
async fn tokens_end_when_their_time_is_over() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let accepted = async || service.get(PATH, &token).await.status() == StatusCode::NOT_FOUND;
    service.clock.advance(LIFE as i64 - 5);
    assert!(accepted().await);
    service.clock.advance(5 + 20);
    assert!(accepted().await, "within the leeway");
    service.clock.advance(15);
    problem(service.get(PATH, &token).await, 401, "token_expired").await;
    // An instance whose clock is behind by more than the leeway does not take tokens from the future.
    service.clock.advance(-(LIFE as i64) - 35 - 40);
    problem(service.get(PATH, &token).await, 401, "token_invalid").await;
}

#[tokio::test]
async fn old_keys_check_while_the_new_one_signs() {
    let new = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    let keys = |pem: String| Tokens::from_pem(pem.as_bytes(), PUBLIC_URL, LIFE).unwrap();
    let rotated = start(false, |state| state.tokens = Arc::new(keys(format!("{new}{TOKEN_KEY}")))).await;
    let (_, fresh) = rotated.partner("a").await;
    let claims = URL_SAFE_NO_PAD.decode(fresh.split('.').nth(1).unwrap()).unwrap();
    let mut forge = Forge::new(&rotated).await;
    forge.claims = serde_json::from_slice(&claims).unwrap();
    let listed: Value = rotated.get("/.well-known/jwks.json", "").await.json().await.unwrap();
    let ids: Vec<&str> = listed["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(jsonwebtoken::decode_header(&fresh).unwrap().kid.as_deref(), Some(ids[0]), "the first key signs");
    assert_eq!(rotated.get(PATH, &fresh).await.status(), StatusCode::NOT_FOUND);
    let old = forge.with(|header, _| header.kid = Some(ids[1].into()));
    assert_eq!(rotated.get(PATH, &old).await.status(), StatusCode::NOT_FOUND, "the second still checks");
    let crossed = forge.with(|header, _| header.kid = Some(ids[0].into()));
    problem(rotated.get(PATH, &crossed).await, 401, "token_invalid").await;
}

#[tokio::test]
async fn a_token_stands_in_one_authorization_header_and_nowhere_else() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let get = |path: &str| service.client.get(format!("{}{path}", service.base));
    let missing = get(PATH).send().await.unwrap();
    assert_eq!(missing.headers()["www-authenticate"], "Bearer realm=\"sceau\"");
    problem(missing, 401, "token_missing").await;
    problem(get(&format!("{PATH}?access_token={token}")).send().await.unwrap(), 401, "token_missing").await;
    for header in [token.clone(), "Bearer".into(), "Bearer ".into(), format!("Bearer {token} {token}")] {
        problem(get(PATH).header("authorization", header).send().await.unwrap(), 401, "token_invalid").await;
    }
    for header in [format!("Basic {token}"), "Basic !".into(), "basic eA==".into()] {
        problem(get(PATH).header("authorization", header).send().await.unwrap(), 401, "credentials_invalid").await;
    }
    let two = get(PATH).header("authorization", format!("Bearer {token}")).header("authorization", format!("Bearer {token}"));
    problem(two.send().await.unwrap(), 401, "token_invalid").await;
    assert_eq!(
        get(PATH).header("authorization", format!("bearer {token}")).send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    // A megabyte of token is more head than the listener reads: 431, or the connection is cut while it is being sent.
    if let Ok(answer) = get(PATH).bearer_auth("A".repeat(1 << 20)).send().await {
        assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    assert_eq!(get(PATH).bearer_auth(&token).send().await.unwrap().status(), StatusCode::NOT_FOUND, "and the service goes on");
}
