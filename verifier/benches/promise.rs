//! What a promise costs whoever signs and whoever checks: `cargo bench -p sceau-verifier --bench promise -- [--json]`.
//!
//! Beside each figure stands the bare signature or hash that it cannot be faster than.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ed25519_dalek::{Signer, SigningKey};
use sceau_verifier::promise::{Moment, Payload, Record};
use sceau_verifier::{Digest, Salt};

fn records(count: u64) -> Vec<Record> {
    let moment = |micros| Moment::from_micros(1_790_000_000_000_000 + micros).expect("a moment");
    (0..count)
        .map(|n| Record {
            digest: Digest::of(&n.to_be_bytes()),
            salt: Salt::from([n as u8; 16]),
            number: n + 1,
            batch: 7,
            accepted_at: moment(n),
            anchor_by: moment(1_860_000_000),
        })
        .collect()
}

fn sign(key: &SigningKey, records: &[Record]) -> [u8; 64] {
    let payload = Payload::new("https://proofs.example", 1_790_000_000, "acme", records);
    key.sign(&serde_json::to_vec(&payload).expect("texts and numbers")).to_bytes()
}

/// The fastest of some rounds, for one call.
fn best<T>(calls: u32, work: impl Fn() -> T) -> Duration {
    let round = || {
        let begun = Instant::now();
        for _ in 0..calls {
            black_box(work());
        }
        begun.elapsed() / calls
    };
    (0..10).map(|_| round()).min().expect("ten rounds")
}

fn main() {
    let key = SigningKey::from_bytes(&[7; 32]);
    let (one, many) = (records(1), records(10_000));
    let bytes: Vec<u8> = many.iter().flat_map(Record::to_bytes).collect();
    let message = vec![7_u8; 350];
    let bare_signature = best(1_000, || key.sign(black_box(&message)));
    let one_digest = best(1_000, || sign(&key, black_box(&one)));
    let bare_hash = best(10, || Digest::of(black_box(&bytes)));
    let many_digests = best(10, || sign(&key, black_box(&many)));
    let (signature, verifying) = (key.sign(&message), key.verifying_key());
    let checking = best(1_000, || verifying.verify_strict(black_box(&message), &signature));
    if std::env::args().any(|argument| argument == "--json") {
        let row = |case: &str, value: Duration, against: &str, limit: Duration| {
            let micros = [value, limit].map(|time| time.as_secs_f64() * 1e6);
            serde_json::json!({"case": case, "value": micros[0], "unit": "µs", "against": against, "limit": micros[1],
                "ratio": micros[0] / micros[1], "aim": null, "reached": null})
        };
        let rows = [
            row("promise of one digest", one_digest, "a bare Ed25519 signature", bare_signature),
            row("promise of 10,000 digests", many_digests, "bare SHA-256 of 10,000 records", bare_hash),
            row("checking a signature", checking, "a bare Ed25519 signature", bare_signature),
        ];
        println!("{}", serde_json::json!({"bench": "promise", "facts": {}, "rows": rows}));
        return;
    }
    println!("a bare signature          {bare_signature:>10.1?}");
    println!("one digest                {one_digest:>10.1?}");
    println!("bare SHA-256, 800,000 B   {bare_hash:>10.1?}");
    println!("10,000 digests            {many_digests:>10.1?}");
    println!("checking a signature      {checking:>10.1?}");
}
