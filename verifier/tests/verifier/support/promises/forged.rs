//! What no operator signed, or not so.

use ed25519_dalek::{Signer, SigningKey};
use sceau_verifier::Code;
use sceau_verifier::promise::Record;
use serde_json::{Value, json};

use super::super::batch::document;
use super::{Case, HEADER, KID, answer, base64url, case, jwk, key, keys, payload, record, several, sign};

pub(super) fn forged() -> Vec<Case> {
    let one = sign(HEADER, &payload(&[record()]));
    let parts: Vec<&str> = one.split('.').collect();
    let joined = |header: &str, payload: &str, signature: &str| format!("{header}.{payload}.{signature}");
    let head = |header: &str| sign(header, &payload(&[record()]));
    let body = |change: &dyn Fn(&mut Value)| {
        let mut value = serde_json::from_str(&payload(&[record()])).unwrap();
        change(&mut value);
        sign(HEADER, &value.to_string())
    };
    let malformed = |name: &str, promise: String| case(name, promise, Code::PromiseMalformed);
    let mut cases = vec![
        malformed("invalid-empty", String::new()),
        malformed("invalid-two-parts", format!("{}.{}", parts[0], parts[1])),
        malformed("invalid-four-parts", format!("{one}.")),
        malformed("invalid-space-at-end", format!("{one} ")),
        malformed("invalid-padded", joined(parts[0], parts[1], &format!("{}==", parts[2]))),
        malformed("invalid-bits-left-over", joined(parts[0], parts[1], &format!("{}B", &parts[2][..85]))),
        malformed("invalid-signature-short", joined(parts[0], parts[1], &parts[2][..84])),
        malformed("invalid-header-no-json", joined(&base64url(b"{"), parts[1], parts[2])),
        malformed("invalid-header-is-a-list", head(r#"["EdDSA","k","sceau-promise+jwt"]"#)),
        malformed("invalid-header-critical", head(&HEADER.replace("{", r#"{"crit":["b64"],"b64":false,"#))),
        malformed("invalid-header-with-a-key", head(&HEADER.replace("{", r#"{"jku":"https://thief.example","#))),
        malformed("invalid-header-duplicate", head(&HEADER.replace("{", r#"{"typ":"at+jwt","#))),
        malformed("invalid-header-without-kid", head(r#"{"alg":"EdDSA","typ":"sceau-promise+jwt"}"#)),
        case("invalid-access-token", head(&HEADER.replace("sceau-promise+jwt", "at+jwt")), Code::PromiseType),
        case("invalid-type-with-application", head(&HEADER.replace("sceau-", "application/sceau-")), Code::PromiseType),
        case("invalid-algorithm-none", head(&HEADER.replace("EdDSA", "none")), Code::PromiseType),
        case("invalid-algorithm-hs256", head(&HEADER.replace("EdDSA", "HS256")), Code::PromiseType),
        case("unknown-key", head(&HEADER.replace("kPrK", "KPrK")), Code::PromiseKeyUnknown),
        case("unknown-no-key", one.clone(), Code::PromiseKeyUnknown).by(json!({"keys": []})),
        case("unknown-key-of-another-kind", one.clone(), Code::PromiseKeyUnknown)
            .by(json!({"keys": [{"kty": "OKP", "crv": "X25519", "kid": KID, "x": keys()["keys"][0]["x"]}]})),
        case("unknown-key-spelled-otherwise", one.clone(), Code::PromiseKeyUnknown).by(json!({"keys": [jwk(KID, &beyond())]})),
    ];
    // The signature.
    let wrong = |name: &str, promise: String| case(name, promise, Code::PromiseSignature);
    let other = payload(&[Record { number: 42, ..record() }]);
    let mut small = vec![0; 32];
    small[0] = 1;
    let nothing = base64url(&[small.clone(), vec![0; 32]].concat());
    cases.extend([
        wrong("invalid-payload-changed", joined(parts[0], &base64url(other.as_bytes()), parts[2])),
        wrong("invalid-signature-changed", joined(parts[0], parts[1], &flipped(&one, 70))),
        wrong("invalid-signature-of-zeros", joined(parts[0], parts[1], &base64url(&[0; 64]))),
        wrong("invalid-signature-s-too-large", joined(parts[0], parts[1], &unreduced(&one))),
        wrong("invalid-key-of-small-order", joined(parts[0], parts[1], &nothing)).by(json!({"keys": [jwk(KID, &small)]})),
        wrong("invalid-signed-by-another", one.clone())
            .by(json!({"keys": [jwk(KID, SigningKey::from_bytes(&[2; 32]).verifying_key().as_bytes())]})),
    ]);
    // What is signed.
    let unfit = |name: &str, change: &dyn Fn(&mut Value)| case(name, body(change), Code::PromisePayload);
    cases.extend([
        unfit("invalid-another-format", &|value| value["format"] = "sceau-promise/2".into()),
        unfit("invalid-a-member-more", &|value| value["exp"] = 1.into()),
        unfit("invalid-a-member-less", &|value| drop(value.as_object_mut().unwrap().remove("account"))),
        unfit("invalid-null", &|value| value["count"] = Value::Null),
        unfit("invalid-both-kinds", &|value| {
            value["count"] = 2.into();
            value["records"] = json!(record().digest);
        }),
        unfit("invalid-neither-kind", &|value| drop(value.as_object_mut().unwrap().remove("proof"))),
        unfit("invalid-count-of-one", &|value| {
            value.as_object_mut().unwrap().remove("proof");
            value["count"] = 1.into();
            value["records"] = json!(sceau_verifier::promise::hash(&[record()]));
        }),
        unfit("invalid-number-zero", &|value| value["proof"]["number"] = 0.into()),
        unfit("invalid-number-too-large", &|value| value["proof"]["number"] = (1_u64 << 53).into()),
        unfit("invalid-number-as-text", &|value| value["proof"]["number"] = "41".into()),
        unfit("invalid-proof-is-a-list", &|value| value["proof"] = json!([1])),
        unfit("invalid-time-as-number", &|value| value["proof"]["anchor_by"] = 1_790_000_000.into()),
        unfit("invalid-time-with-zeros", &|value| value["proof"]["anchor_by"] = "2026-09-21T14:13:20.000Z".into()),
        unfit("invalid-time-with-offset", &|value| value["proof"]["anchor_by"] = "2026-09-21T14:13:20+00:00".into()),
        unfit("invalid-salt-short", &|value| value["proof"]["salt"] = "00".into()),
        case(
            "invalid-duplicate-account",
            sign(HEADER, &payload(&[record()]).replace("{\"format\"", "{\"account\":\"x\",\"format\"")),
            Code::PromisePayload,
        ),
        case(
            "invalid-time-as-fraction",
            sign(HEADER, &payload(&[record()]).replace("1789999000", "1789999000.0")),
            Code::PromisePayload,
        ),
        case("invalid-payload-no-json", sign(HEADER, "promised"), Code::PromisePayload),
        case(
            "invalid-payload-lone-surrogate",
            sign(HEADER, &payload(&[record()]).replace("acme", r"\ud800")),
            Code::PromisePayload,
        ),
    ]);
    cases.extend(answers());
    cases
}

fn answers() -> Vec<Case> {
    let changed = |name: &str, code: Code, change: &dyn Fn(&mut Value)| {
        let mut value = answer(&several());
        change(&mut value);
        case(name, value.to_string(), code)
    };
    let deep = |value: &mut Value| {
        let nested = (0..64).fold(json!({}), |inner, _| json!([inner]));
        value["proofs"][0]["links"] = nested;
    };
    let malformed = |name: &str, change: &dyn Fn(&mut Value)| changed(name, Code::PromiseMalformed, change);
    let records = |name: &str, change: &dyn Fn(&mut Value)| changed(name, Code::PromiseRecords, change);
    let text = answer(&several()).to_string();
    vec![
        malformed("invalid-answer-without-promise", &|value| drop(value.as_object_mut().unwrap().remove("promise"))),
        malformed("invalid-answer-without-proofs", &|value| drop(value.as_object_mut().unwrap().remove("proofs"))),
        malformed("invalid-answer-item-is-text", &|value| value["proofs"][0] = "x".into()),
        malformed("invalid-answer-item-without-salt", &|value| drop(value["proofs"][0].as_object_mut().unwrap().remove("salt"))),
        malformed("invalid-answer-number-zero", &|value| value["proofs"][0]["number"] = 0.into()),
        malformed("invalid-answer-number-negative", &|value| value["proofs"][0]["number"] = (-1).into()),
        malformed("invalid-answer-time-of-no-day", &|value| value["proofs"][0]["anchor_by"] = "2026-02-30T00:00:00Z".into()),
        malformed("invalid-answer-nested-too-deep", &deep),
        case("invalid-answer-duplicate-member", text.replacen("{\"self\":", "{\"self\":1,\"self\":", 1), Code::PromiseMalformed),
        case("invalid-answer-cut", text[..text.len() - 1].to_owned(), Code::PromiseMalformed),
        records("invalid-answer-salt", &|value| value["proofs"][1]["salt"] = json!(sceau_verifier::Salt::from([3; 16]))),
        records("invalid-answer-digest", &|value| value["proofs"][1]["digest"] = json!(document(77))),
        records("invalid-answer-number", &|value| value["proofs"][1]["number"] = 1.into()),
        records("invalid-answer-batch", &|value| value["proofs"][1]["batch"] = 1.into()),
        records("invalid-answer-received-at", &|value| value["proofs"][1]["received_at"] = "2026-09-21T14:08:20Z".into()),
        records("invalid-answer-anchor-by", &|value| value["proofs"][1]["anchor_by"] = "2026-09-21T14:13:21Z".into()),
        records("invalid-answer-order", &|value| value["proofs"].as_array_mut().unwrap().swap(0, 1)),
        records("invalid-answer-item-left-out", &|value| drop(value["proofs"].as_array_mut().unwrap().pop())),
        records("invalid-answer-item-put-in", &|value| {
            let item = value["proofs"][0].clone();
            value["proofs"].as_array_mut().unwrap().push(item);
        }),
        records("invalid-answer-item-said-to-wait", &|value| {
            drop(value["proofs"][0].as_object_mut().unwrap().remove("anchor_by"));
        }),
        records("invalid-answer-of-nothing", &|value| value["proofs"] = json!([])),
        records("invalid-answer-of-one-with-another", &|value| {
            *value = answer(&[record()]);
            value["proofs"][0]["number"] = 40.into();
        }),
    ]
}

/// The y of a point, plus p: 2^255 − 19 + 9 is read as 9.
fn beyond() -> Vec<u8> {
    let mut bytes = vec![0xff; 32];
    (bytes[0], bytes[31]) = (0xed + 9, 0x7f);
    bytes
}

fn signature(jws: &str) -> [u8; 64] {
    let signed = jws.rsplit_once('.').unwrap().0;
    key().sign(signed.as_bytes()).to_bytes()
}

fn flipped(jws: &str, bit: usize) -> String {
    let mut bytes = signature(jws);
    bytes[bit / 8] ^= 1 << (bit % 8);
    base64url(&bytes)
}

/// The same signature with the group's order added to its second half.
fn unreduced(jws: &str) -> String {
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut bytes = signature(jws);
    let mut carry = 0_u16;
    for (byte, add) in bytes[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = carry as u8;
        carry >>= 8;
    }
    base64url(&bytes)
}
