//! Whether a promise was given, and whether it was kept: steps 34 to 37.

use serde::{Serialize, Serializer};

use super::answer::{self, Evidence};
use super::jws::{self, KeySet, Signed};
use super::{Moment, Record};
use crate::receipt::Receipt;
use crate::verdict::{Code, Failure, Verdict};
use crate::verify::Report;
use crate::{Digest, receipt};

/// What became of a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The operator gave it. Whether it was kept was not asked, or cannot be told yet.
    Given,
    /// The digest was in a block in time.
    Kept,
    /// It was not.
    Broken,
}

impl Outcome {
    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Kept => "kept",
            Self::Broken => "broken",
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The answer to one promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What the verifier answers.
    pub verdict: Verdict,
    /// Why.
    pub code: Code,
    /// A sentence for people.
    pub detail: String,
    /// What became of the promise; none where none was shown to be given.
    pub outcome: Option<Outcome>,
    /// The promise, once its signature holds.
    pub signed: Option<Signed>,
    /// What was promised about the document in question.
    pub record: Option<Record>,
    /// What was found out about the receipt.
    pub receipt: Option<Report>,
}

impl Judgement {
    fn new(code: Code, detail: String) -> Self {
        Self { verdict: code.verdict(), code, detail, outcome: None, signed: None, record: None, receipt: None }
    }
}

impl From<Failure> for Judgement {
    fn from(failure: Failure) -> Self {
        Self::new(failure.code, failure.detail)
    }
}

/// Whether the file `promise` holds a promise by one of `keys`, about `document` where one is given; and, with the bytes of
/// a receipt, whether it was kept. `verify` gives the receipt's own verdict for a digest, by whatever the auditor trusts.
pub fn judge(
    promise: &[u8],
    keys: &KeySet,
    document: Option<&Digest>,
    receipt: Option<&[u8]>,
    verify: impl FnOnce(&Digest, &Receipt) -> Report,
) -> Judgement {
    let (signed, records) = match given(promise, keys) {
        Ok(given) => given,
        Err(failure) => return failure.into(),
    };
    let mut judgement = Judgement::new(Code::Ok, String::new());
    judgement.outcome = Some(Outcome::Given);
    judgement.signed = Some(signed);
    // A receipt that cannot be read is refused when its turn comes.
    let read = receipt.map(receipt::parse);
    let named = read.as_ref().and_then(|read| read.as_ref().ok()).map(|receipt| receipt.document.digest);
    if let Some(digest) = document.copied().or(named) {
        match find(records.as_deref(), &digest) {
            Ok(record) => judgement.record = Some(record),
            Err(failure) => return conclude(judgement, failure),
        }
    } else if let Some([one]) = records.as_deref() {
        judgement.record = Some(*one);
    }
    match (read, judgement.record) {
        (None, _) => judgement,
        (Some(Ok(receipt)), Some(record)) => weigh(judgement, &receipt, &record, verify),
        (Some(Err(failure)), _) => conclude(judgement, failure),
        // A receipt names its document, so one that was read has led to a record, or to a failure.
        (Some(Ok(_)), None) => conclude(judgement, Failure::new(Code::PromiseRecordsMissing, "")),
    }
}

/// Steps 29 to 34.
fn given(promise: &[u8], keys: &KeySet) -> Result<(Signed, Option<Vec<Record>>), Failure> {
    let Evidence { jws, records } = answer::read(promise)?;
    let signed = jws::open(&jws, keys)?;
    match records {
        Some(records) if !signed.payload.covers(&records) => {
            Err(Failure::new(Code::PromiseRecords, "the answer's accepted items are not those that were signed"))
        }
        Some(records) => Ok((signed, Some(records))),
        None => {
            let one = signed.payload.proof.map(|one| vec![one]);
            Ok((signed, one))
        }
    }
}

/// Step 35.
fn find(records: Option<&[Record]>, digest: &Digest) -> Result<Record, Failure> {
    let Some(records) = records else {
        let detail = "it is about several digests, which stand in the answer it came with: give that";
        return Err(Failure::new(Code::PromiseRecordsMissing, detail));
    };
    let found = records.iter().find(|record| record.digest == *digest);
    found.copied().ok_or_else(|| Failure::new(Code::PromiseOtherDocument, &format!("it says nothing about {digest}")))
}

/// Steps 36 and 37.
fn weigh(
    mut judgement: Judgement,
    receipt: &Receipt,
    record: &Record,
    verify: impl FnOnce(&Digest, &Receipt) -> Report,
) -> Judgement {
    let report = verify(&record.digest, receipt);
    let (verdict, code, detail) = (report.verdict, report.code, report.detail.clone());
    let block = report.anchors.iter().filter(|anchor| anchor.code == Code::Ok).map(|anchor| anchor.block_time).min();
    judgement.receipt = Some(report);
    if verdict != Verdict::Verified {
        return conclude(judgement, Failure { code, detail });
    }
    if receipt.entry.salt != record.salt {
        return conclude(judgement, Failure::new(Code::PromiseOtherEntry, "the receipt is of another entry: its salt differs"));
    }
    let broken = if receipt.batch.number == record.batch {
        // A block's time in whole seconds; verified without a block there is none.
        let late = block.is_none_or(|seconds| u128::from(seconds) * 1_000_000 > u128::from(record.anchor_by.micros()));
        late.then(|| {
            let at = block.and_then(|seconds| Moment::from_micros(seconds.saturating_mul(1_000_000)));
            let at = at.map_or_else(|| "no time".into(), |at| at.to_string());
            format!("promised for {}, in a block of {at}", record.anchor_by)
        })
    } else {
        Some(format!("promised for batch {}, sealed in batch {}", record.batch, receipt.batch.number))
    };
    match broken {
        None => judgement.outcome = Some(Outcome::Kept),
        Some(why) => {
            judgement.outcome = Some(Outcome::Broken);
            return conclude(judgement, Failure { code: Code::PromiseBroken, detail: why });
        }
    }
    judgement
}

fn conclude(judgement: Judgement, failure: Failure) -> Judgement {
    Judgement { verdict: failure.code.verdict(), code: failure.code, detail: failure.detail, ..judgement }
}
