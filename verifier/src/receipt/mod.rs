//! The receipt `sceau-receipt/1`: its parts, its one canonical spelling, and the strict reader (SPEC.md §2, step 1).

mod print;

use serde::{Deserialize, Serialize};

pub use crate::evm::evidence::{Evidence, TransactionEvidence};
use crate::evm::registry::Statement;
use crate::evm::{Address, ChainRef, Hash32};
use crate::verdict::{Code, Failure};
use crate::{Digest, Entry, Salt};

/// The largest integer in a receipt, 2^53−1: what every JSON reader holds exactly.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// A receipt file may not be longer than this, in bytes: far above any real one, and a bound for whoever reads it.
pub const MAX_BYTES: usize = 1 << 20;

/// A receipt carries at most so many decisions.
pub const MAX_DECISIONS: usize = 16;

/// The format's name and version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    /// The only version there is.
    #[default]
    #[serde(rename = "sceau-receipt/1")]
    V1,
}

/// A receipt. Fields stand in canonical order; [`Receipt::to_bytes`] prints them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Which format this is.
    pub format: Format,
    /// The document.
    pub document: Document,
    /// Its entry in the batch.
    pub entry: EntryPosition,
    /// The batch's tree and the entry's path in it.
    pub tree: TreePosition,
    /// The batch and its header's path.
    pub batch: Batch,
    /// Where the root is on chain, ascending by `(chain, registry)` as text, no pair twice. Empty before the first anchor.
    pub anchors: Vec<Anchor>,
    /// The decisions that let the document be sealed, ascending by `(batch.number, entry.index)` of their own receipts, no
    /// pair twice. Absent in the text when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
}

/// A validator's decision with the proof that it was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The exact text of the statement `sceau-decision/1`.
    pub statement: String,
    /// The statement's own receipt, which has no decisions.
    pub receipt: Receipt,
}

/// The document a receipt is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// SHA-256 of the document.
    pub digest: Digest,
}

/// What the entry adds to the digest, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryPosition {
    /// The entry's salt.
    pub salt: Salt,
    /// The leaf index, at least 1: leaf 0 is the batch header.
    pub index: u64,
}

/// The tree and the entry's path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreePosition {
    /// Leaves of the tree, the header included: at least 2.
    pub size: u64,
    /// Root of the tree.
    pub root: Digest,
    /// Inclusion path of the entry, leaf to root.
    pub path: Vec<Digest>,
}

/// The batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Its number.
    pub number: u64,
    /// The exact bytes of its header.
    pub header: String,
    /// Inclusion path of the header, leaf 0.
    pub path: Vec<Digest>,
}

/// A batch's presence in one registry of one chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// The chain.
    pub chain: ChainRef,
    /// The registry contract.
    pub registry: Address,
    /// The transaction that anchored the root.
    pub tx_hash: Hash32,
    /// Number of its block.
    pub block_number: u64,
    /// Hash of its block.
    pub block_hash: Hash32,
    /// Time of its block, in seconds since 1970.
    pub block_time: u64,
    /// Everything from the block hash down to the record; absent until the block is final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

impl Receipt {
    /// The canonical bytes, without a line feed at the end.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 << 10);
        print::receipt(&mut bytes, self);
        bytes
    }

    /// [`Self::to_bytes`] in two parts: up to the batch, which is the entry's own, and from there on.
    #[must_use]
    pub fn to_parts(&self) -> (Vec<u8>, Vec<u8>) {
        (print_head(&self.document, &self.entry, &self.tree), print_tail(&self.batch, &self.anchors, &self.decisions))
    }

    /// The document's entry.
    #[must_use]
    pub const fn entry(&self) -> Entry {
        Entry { digest: self.document.digest, salt: self.entry.salt }
    }

    /// What each registry must have recorded.
    #[must_use]
    pub const fn statement(&self) -> Statement {
        Statement { root: self.tree.root, size: self.tree.size, number: self.batch.number }
    }

    /// Where the entry is in the operator's history.
    const fn position(&self) -> (u64, u64) {
        (self.batch.number, self.entry.index)
    }

    /// Checks what the types leave open: ranges of integers, the order of anchors, number and order of the decisions
    /// (part of step 1).
    ///
    /// # Errors
    /// [`Code::ReceiptMalformed`], naming the field.
    pub fn check_ranges(&self) -> Result<(), Failure> {
        let fail = |what: &str| Err(Failure::new(Code::ReceiptMalformed, what));
        if !(1..=MAX_INTEGER).contains(&self.entry.index) {
            return fail("entry.index is out of range");
        }
        if !(2..=MAX_INTEGER).contains(&self.tree.size) {
            return fail("tree.size is out of range");
        }
        if self.batch.number > MAX_INTEGER {
            return fail("batch.number is out of range");
        }
        for anchor in &self.anchors {
            let index = anchor.evidence.as_ref().map_or(0, |evidence| evidence.transaction.index);
            if anchor.block_number > MAX_INTEGER || anchor.block_time > MAX_INTEGER || index > MAX_INTEGER {
                return fail("an integer of an anchor is out of range");
            }
        }
        if !self.anchors.is_sorted_by(|a, b| (a.chain, a.registry) < (b.chain, b.registry)) {
            return fail("anchors are not in ascending order of chain and registry");
        }
        if self.decisions.len() > MAX_DECISIONS {
            return fail("more than 16 decisions");
        }
        for decision in &self.decisions {
            if !decision.receipt.decisions.is_empty() {
                return fail("the receipt of a decision has decisions");
            }
            decision.receipt.check_ranges()?;
        }
        if !self.decisions.is_sorted_by(|a, b| a.receipt.position() < b.receipt.position()) {
            return fail("decisions are not in ascending order of batch and index");
        }
        Ok(())
    }
}

/// The canonical bytes up to the batch. There is room for the rest.
pub(crate) fn print_head(document: &Document, entry: &EntryPosition, tree: &TreePosition) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 << 10);
    print::head(&mut bytes, document, entry, tree);
    bytes
}

/// The canonical bytes from the comma before the batch on.
pub(crate) fn print_tail(batch: &Batch, anchors: &[Anchor], decisions: &[Decision]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 << 10);
    print::tail(&mut bytes, batch, anchors, decisions);
    bytes.shrink_to_fit();
    bytes
}

impl std::fmt::Display for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_bytes()).map_err(|_| std::fmt::Error)?)
    }
}

/// Reads a receipt: strict types, no unknown, missing or repeated field, and the canonical bytes, after which one
/// line feed is allowed. A changed byte is therefore either refused here or a changed value.
///
/// # Errors
/// [`Code::ReceiptMalformed`].
pub fn parse(bytes: &[u8]) -> Result<Receipt, Failure> {
    if bytes.len() > MAX_BYTES {
        return Err(Failure::new(Code::ReceiptMalformed, "longer than 1 MiB"));
    }
    let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let receipt: Receipt =
        serde_json::from_slice(body).map_err(|error| Failure::new(Code::ReceiptMalformed, &error.to_string()))?;
    receipt.check_ranges()?;
    let mut expected = print::Expected::new(body);
    print::receipt(&mut expected, &receipt);
    if !expected.met() {
        return Err(Failure::new(Code::ReceiptMalformed, "not the canonical bytes"));
    }
    Ok(receipt)
}
