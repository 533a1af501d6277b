//! The usual case: one digest a request.

use hyper::StatusCode;
use hyper::body::Bytes;
use sceau_verifier::Digest;
use serde::Deserialize;

use super::load::Case;

/// One digest a request, the n-th of [`digest`].
pub struct Single;

/// What a submission is answered.
#[derive(Deserialize)]
pub struct Answer {
    /// An item each, in order.
    pub proofs: Vec<Proof>,
}

/// What is said of one item.
#[derive(Deserialize)]
pub struct Proof {
    digest: Digest,
    created: bool,
}

impl Proof {
    /// Whether this digest was stored now.
    pub fn is_new(&self, digest: Digest) -> bool {
        self.created && self.digest == digest
    }
}

/// Bytes of an answer, the service's and those of its limits: they differ by the digits of times and numbers.
const LENGTH: std::ops::RangeInclusive<usize> = 1_400..=1_450;

/// The n-th digest.
pub fn digest(n: u64) -> Digest {
    Digest::of(&n.to_be_bytes())
}

impl Case for Single {
    fn path(&self) -> &'static str {
        "/v1/proofs"
    }

    fn body(&self, n: u64) -> Bytes {
        format!(r#"{{"proofs":[{{"digest":"{}"}}]}}"#, digest(n)).into()
    }

    fn is_answer(&self, n: u64, status: StatusCode, body: &Bytes) -> bool {
        status == StatusCode::CREATED
            && LENGTH.contains(&body.len())
            && serde_json::from_slice::<Answer>(body)
                .is_ok_and(|answer| matches!(&answer.proofs[..], [one] if one.is_new(digest(n))))
    }
}
