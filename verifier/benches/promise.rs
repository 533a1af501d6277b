//! What a promise costs whoever signs and whoever checks: `cargo bench -p sceau-verifier --bench promise`.
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
    println!("a bare signature          {:>10.1?}", best(1_000, || key.sign(black_box(&message))));
    println!("one digest                {:>10.1?}", best(1_000, || sign(&key, black_box(&one))));
    println!("bare SHA-256, 800,000 B   {:>10.1?}", best(10, || Digest::of(black_box(&bytes))));
    println!("10,000 digests            {:>10.1?}", best(10, || sign(&key, black_box(&many))));
    let (signature, verifying) = (key.sign(&message), key.verifying_key());
    println!("checking a signature      {:>10.1?}", best(1_000, || verifying.verify_strict(black_box(&message), &signature)));
}
