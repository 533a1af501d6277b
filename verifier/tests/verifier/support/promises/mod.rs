//! Promises that were given and not, kept and not: with what the verifier must answer.

mod forged;

use std::sync::LazyLock;

use ed25519_dalek::{Signer, SigningKey};
use sceau_verifier::promise::judge::Outcome;
use sceau_verifier::promise::{Moment, Payload, Record};
use sceau_verifier::{Code, Digest, Receipt, Trust};
use serde_json::{Value, json};

use self::forged::forged;
use super::batch::document;
use super::cases::{plain, sealed, trust_in};
use super::chain::Block;

/// One file with a promise, and the answer to it.
pub struct Case {
    pub name: String,
    pub promise: Vec<u8>,
    pub keys: Value,
    pub document: Option<Digest>,
    pub receipt: Option<Vec<u8>>,
    pub trust: Trust,
    pub code: Code,
    pub outcome: Option<Outcome>,
}

const KID: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
const LAST: u64 = 1_790_000_000_000_000;

/// RFC 8032 §7.1, test 1; RFC 8037 appendix A has it as a JWK.
fn key() -> SigningKey {
    let mut seed = [0; 32];
    let text = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    for (byte, pair) in seed.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    }
    SigningKey::from_bytes(&seed)
}

pub fn base64url(bytes: &[u8]) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let held = chunk.iter().fold(0_u32, |held, byte| held << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let digits = (0..=chunk.len()).map(|at| alphabet[(held >> (18 - 6 * at)) as usize & 63]);
        text.extend(digits.map(char::from));
    }
    text
}

fn jwk(kid: &str, x: &[u8]) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(x), "kid": kid, "use": "sig", "alg": "EdDSA"})
}

fn keys() -> Value {
    json!({ "keys": [jwk(KID, key().verifying_key().as_bytes())] })
}

const HEADER: &str = r#"{"alg":"EdDSA","kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k","typ":"sceau-promise+jwt"}"#;

fn sign(header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()));
    let signature = key().sign(signed.as_bytes()).to_bytes();
    format!("{signed}.{}", base64url(&signature))
}

fn payload(records: &[Record]) -> String {
    serde_json::to_string(&Payload::new("https://proofs.example", 1_789_999_000, "acme", records)).unwrap()
}

/// What was promised about the document of [`plain`], for the very second of its block.
pub fn record() -> Record {
    let receipt = plain();
    Record {
        digest: receipt.document.digest,
        salt: receipt.entry.salt,
        number: 41,
        batch: receipt.batch.number,
        accepted_at: Moment::from_micros(LAST - 300_000_000 + 631_019).unwrap(),
        anchor_by: Moment::from_micros(LAST).unwrap(),
    }
}

fn several() -> Vec<Record> {
    let other = |n: u64| Record { digest: document(n), salt: [n as u8; 16].into(), number: 40 + n, ..record() };
    vec![other(0), record(), other(2), record()]
}

fn item(record: &Record) -> Value {
    json!({
        "digest": record.digest, "status": "pending", "batch": record.batch, "number": record.number,
        "received_at": record.accepted_at, "anchor_by": record.anchor_by, "created": true, "salt": record.salt,
        "links": {"self": "…"},
    })
}

fn answer(records: &[Record]) -> Value {
    let proofs: Vec<Value> = records.iter().map(item).collect();
    json!({ "proofs": proofs, "promise": sign(HEADER, &payload(records)) })
}

fn case(name: &str, promise: impl Into<Vec<u8>>, code: Code) -> Case {
    let outcome = (code == Code::Ok).then_some(Outcome::Given);
    let promise = promise.into();
    Case { name: name.into(), promise, keys: keys(), document: None, receipt: None, trust: Trust::default(), code, outcome }
}

impl Case {
    fn about(mut self, document: Digest) -> Self {
        self.document = Some(document);
        self
    }

    fn with(mut self, receipt: &Receipt, outcome: Outcome) -> Self {
        self.trust = trust_in(&receipt.anchors);
        self.receipt = Some(receipt.to_bytes());
        self.outcome = Some(outcome);
        self
    }

    fn found(mut self) -> Self {
        self.outcome = Some(Outcome::Given);
        self
    }

    fn by(mut self, keys: Value) -> Self {
        self.keys = keys;
        self
    }
}

fn given() -> Vec<Case> {
    let one = sign(HEADER, &payload(&[record()]));
    let digest = record().digest;
    let many = answer(&several());
    let mut waiting = many.clone();
    waiting["proofs"].as_array_mut().unwrap().insert(1, json!({"digest": document(9), "status": "awaiting_validation"}));
    let order = r#"{"typ":"sceau-promise+jwt","kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k","alg":"EdDSA"}"#;
    let spaced = payload(&[record()]).replace(",\"iat\"", " ,\n \"iat\"");
    let others = json!({"keys": [
        {"kty": "EC", "crv": "P-256", "kid": KID, "x": "", "y": ""},
        jwk("another", SigningKey::from_bytes(&[2; 32]).verifying_key().as_bytes()),
        keys()["keys"][0],
    ]});
    vec![
        case("valid-one", one.clone(), Code::Ok),
        case("valid-line-feed-at-end", format!("{one}\n"), Code::Ok),
        case("valid-one-and-its-document", one.clone(), Code::Ok).about(digest),
        case("valid-header-in-another-order", sign(order, &payload(&[record()])), Code::Ok),
        case("valid-payload-with-white-space", sign(HEADER, &spaced), Code::Ok),
        case("valid-key-among-others", one, Code::Ok).by(others),
        case("valid-answer-of-one", answer(&[record()]).to_string(), Code::Ok).about(digest),
        case("valid-answer-of-several", many.to_string(), Code::Ok),
        case("valid-answer-of-several-and-a-document", many.to_string(), Code::Ok).about(document(2)),
        case("valid-answer-printed-anew", format!("{many:#}\n"), Code::Ok).about(digest),
        case("valid-answer-with-one-that-waits", waiting.to_string(), Code::Ok).about(digest),
        case("valid-several-without-their-answer", many["promise"].as_str().unwrap(), Code::Ok),
    ]
}

fn judged() -> Vec<Case> {
    let one = || sign(HEADER, &payload(&[record()]));
    let receipt = plain();
    let sealed = sealed();
    let later = Block { chain_id: 10, registry: [0x77; 20], number: 900, time: LAST / 1_000_000 + 3_600, ..Block::default() };
    let two = sealed.receipt(5, vec![later.anchor(&receipt.statement()), receipt.anchors[0].clone()]);
    let mut bare = receipt.clone();
    bare.anchors[0].evidence = None;
    let mut bent = receipt.clone();
    bent.tree.path.reverse();
    let early = Record { anchor_by: Moment::from_micros(LAST - 1).unwrap(), ..record() };
    let elsewhere = Record { batch: 8, ..record() };
    let salted = Record { salt: [9; 16].into(), ..record() };
    let signed = |record: Record| sign(HEADER, &payload(&[record]));
    let mut untrusted = case("unknown-no-trusted-block", one(), Code::NoTrustedBlock).with(&receipt, Outcome::Given);
    untrusted.trust = Trust::default();
    let mut no_receipt = case("invalid-receipt-malformed", one(), Code::ReceiptMalformed).found();
    no_receipt.receipt = Some(b"{}".to_vec());
    let mut both =
        case("invalid-several-and-a-receipt-malformed", answer(&several()).to_string(), Code::ReceiptMalformed).found();
    both.receipt = Some(b"{}".to_vec());
    let other_receipt = sealed.receipt(6, receipt.anchors.clone());
    let mut late_two =
        case("invalid-broken-though-anchored-later", signed(early), Code::PromiseBroken).with(&two, Outcome::Broken);
    late_two.document = Some(record().digest);
    vec![
        case("valid-kept", one(), Code::Ok).with(&receipt, Outcome::Kept),
        case("valid-kept-and-its-document", one(), Code::Ok).with(&receipt, Outcome::Kept).about(record().digest),
        case("valid-answer-kept", answer(&several()).to_string(), Code::Ok).with(&receipt, Outcome::Kept),
        case("valid-kept-by-the-earlier-of-two", one(), Code::Ok).with(&two, Outcome::Kept),
        case("notyet-not-anchored", one(), Code::NoAnchor).with(&sealed.receipt(5, Vec::new()), Outcome::Given),
        case("notyet-no-evidence", one(), Code::NoEvidence).with(&bare, Outcome::Given),
        untrusted,
        no_receipt,
        both,
        case("invalid-receipt", one(), Code::EntryNotIncluded).with(&bent, Outcome::Given),
        case("invalid-receipt-of-another-document", one(), Code::PromiseOtherDocument).with(&other_receipt, Outcome::Given),
        case("invalid-receipt-not-of-the-document-given", answer(&several()).to_string(), Code::DocumentMismatch)
            .with(&receipt, Outcome::Given)
            .about(document(2)),
        case("invalid-receipt-of-another-entry", signed(salted), Code::PromiseOtherEntry).with(&receipt, Outcome::Given),
        case("invalid-broken-a-microsecond-late", signed(early), Code::PromiseBroken).with(&receipt, Outcome::Broken),
        late_two,
        case("invalid-broken-another-batch", signed(elsewhere), Code::PromiseBroken).with(&receipt, Outcome::Broken),
        case("invalid-other-document", one(), Code::PromiseOtherDocument).about(document(2)).found(),
        case("invalid-document-not-in-the-answer", answer(&several()).to_string(), Code::PromiseOtherDocument)
            .about(document(7))
            .found(),
        case(
            "unknown-several-without-their-answer",
            answer(&several())["promise"].as_str().unwrap(),
            Code::PromiseRecordsMissing,
        )
        .about(record().digest)
        .found(),
    ]
}

/// Every case, built once.
pub static ALL: LazyLock<Vec<Case>> = LazyLock::new(|| [given(), judged(), forged()].into_iter().flatten().collect());
