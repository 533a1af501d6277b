//! The steps of SPEC.md §4 that need no node: pure functions of the document's digest, the receipt and the auditor's trust.

use std::collections::BTreeSet;

use serde::Serialize;

use super::decisions::{self, DecisionReport};
pub use super::passed::Passed;
use super::verdict::{Code, Failure, Verdict};
use crate::evm::{Address, ChainRef, Hash32, evidence};
use crate::receipt::{self, Anchor, Receipt};
use crate::{BatchHeader, Digest, entry, path};

/// What the auditor brings from outside. Nothing in a receipt can replace it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Hashes of blocks that the auditor knows to be on the chain.
    pub block_hashes: BTreeSet<Hash32>,
    /// The registry that the operator is known to use. Without it the receipt names its own.
    pub registry: Option<Address>,
    /// The chain that counts. Without it the receipt names its own.
    pub chain: Option<ChainRef>,
}

/// What was found out about one anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnchorReport {
    /// The chain.
    pub chain: ChainRef,
    /// The registry.
    pub registry: Address,
    /// Number of the block.
    pub block_number: u64,
    /// Hash of the block.
    pub block_hash: Hash32,
    /// Time of the block, in seconds since 1970.
    pub block_time: u64,
    /// [`Code::Ok`], or the step at which the check of this anchor ended.
    pub code: Code,
    /// A sentence for people.
    pub detail: String,
}

impl AnchorReport {
    fn new(anchor: &Anchor, outcome: Result<(), Failure>) -> Self {
        let (code, detail) = match outcome {
            Ok(()) => (Code::Ok, String::new()),
            Err(failure) => (failure.code, failure.detail),
        };
        Self {
            chain: anchor.chain,
            registry: anchor.registry,
            block_number: anchor.block_number,
            block_hash: anchor.block_hash,
            block_time: anchor.block_time,
            code,
            detail,
        }
    }

    #[cfg(feature = "rpc")]
    pub(crate) fn set(&mut self, outcome: Result<(), Failure>) {
        (self.code, self.detail) = match outcome {
            Ok(()) => (Code::Ok, String::new()),
            Err(failure) => (failure.code, failure.detail),
        };
    }
}

/// The answer to one receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What the verifier answers.
    pub verdict: Verdict,
    /// Why.
    pub code: Code,
    /// A sentence for people.
    pub detail: String,
    /// Every anchor, in the receipt's order; empty when a step before the anchors did not pass.
    pub anchors: Vec<AnchorReport>,
    /// Which of them decided the verdict.
    pub decisive: Option<usize>,
    /// Every decision, in the receipt's order; empty when a step before them did not pass.
    pub decisions: Vec<DecisionReport>,
}

impl Report {
    fn new(code: Code, detail: String, anchors: Vec<AnchorReport>, decisive: Option<usize>) -> Self {
        Self { verdict: code.verdict(), code, detail, anchors, decisive, decisions: Vec::new() }
    }
}

impl From<Failure> for Report {
    fn from(failure: Failure) -> Self {
        Self::new(failure.code, failure.detail, Vec::new(), None)
    }
}

/// Every check that needs neither the document nor anything from outside: steps 1 (ranges), 3 to 6, 8 to 17 for every
/// anchor that has evidence, and 25 to 27 for every decision. Returns the batch header.
///
/// # Errors
/// The first step that does not pass.
pub fn check_structure(receipt: &Receipt) -> Result<BatchHeader, Failure> {
    check_structure_among(receipt, None)
}

/// As [`check_structure`], for many receipts.
///
/// # Errors
/// The first step that does not pass.
pub fn check_structure_among(receipt: &Receipt, passed: Option<&Passed>) -> Result<BatchHeader, Failure> {
    receipt.check_ranges()?;
    let header = check_own_structure(receipt, passed)?;
    decisions::check(receipt, passed)?;
    Ok(header)
}

/// Steps 3 to 6 and 8 to 17.
pub(super) fn check_own_structure(receipt: &Receipt, passed: Option<&Passed>) -> Result<BatchHeader, Failure> {
    let header = check_inclusion(receipt)?;
    for anchor in &receipt.anchors {
        check_anchor(receipt, anchor, passed)?;
    }
    Ok(header)
}

/// Steps 3 to 6.
fn check_inclusion(receipt: &Receipt) -> Result<BatchHeader, Failure> {
    let Receipt { tree, batch, .. } = receipt;
    let header =
        BatchHeader::parse(&batch.header).map_err(|error| Failure::new(Code::BatchHeaderMalformed, &error.to_string()))?;
    if header.number != batch.number || header.count.checked_add(1) != Some(tree.size) {
        let detail = format!("the header says batch {} with {} documents", header.number, header.count);
        return Err(Failure::new(Code::BatchHeaderMismatch, &detail));
    }
    path::verify(&receipt.entry().leaf(), receipt.entry.index, tree.size, &tree.path, &tree.root)
        .map_err(|error| Failure::new(Code::EntryNotIncluded, &error.to_string()))?;
    path::verify(&entry::header_leaf(&batch.header), 0, tree.size, &batch.path, &tree.root)
        .map_err(|error| Failure::new(Code::BatchHeaderNotIncluded, &error.to_string()))?;
    Ok(header)
}

/// Steps 8 to 17 for one anchor; nothing to check without evidence.
fn check_anchor(receipt: &Receipt, anchor: &Anchor, passed: Option<&Passed>) -> Result<(), Failure> {
    match (&anchor.evidence, passed) {
        (Some(evidence), Some(passed)) => passed.check(anchor, evidence, &receipt.statement()),
        (Some(evidence), None) => evidence::check(anchor, evidence, &receipt.statement()),
        (None, _) => Ok(()),
    }
}

/// Steps 18 and 19 for one anchor.
fn check_trust(anchor: &Anchor, trust: &Trust) -> Result<(), Failure> {
    let fail = |code, detail: String| Err(Failure { code, detail });
    if let Some(chain) = trust.chain.filter(|chain| *chain != anchor.chain) {
        return fail(Code::ChainMismatch, format!("anchored on {}, not on {chain}", anchor.chain));
    }
    if let Some(registry) = trust.registry.filter(|registry| *registry != anchor.registry) {
        return fail(Code::RegistryMismatch, format!("anchored in registry {}, not in {registry}", anchor.registry));
    }
    if anchor.evidence.is_none() {
        return fail(Code::NoEvidence, "the anchor has no evidence yet: only a node can tell".into());
    }
    if trust.block_hashes.is_empty() {
        return fail(
            Code::NoTrustedBlock,
            format!("compare the hash of block {} with {}", anchor.block_number, anchor.block_hash),
        );
    }
    if !trust.block_hashes.contains(&anchor.block_hash) {
        return fail(Code::BlockNotTrusted, format!("block {} is not one of those you trust", anchor.block_hash));
    }
    Ok(())
}

/// Steps 2 to 19 and 25 to 27: every anchor with where its check ended.
///
/// # Errors
/// A step that condemns the whole receipt, whatever its other anchors say.
pub(crate) fn assess(
    document: &Digest,
    receipt: &Receipt,
    trust: &Trust,
    passed: Option<&Passed>,
) -> Result<Vec<AnchorReport>, Failure> {
    receipt.check_ranges()?;
    if receipt.document.digest != *document {
        let detail = format!("the receipt is about {}", receipt.document.digest);
        return Err(Failure::new(Code::DocumentMismatch, &detail));
    }
    check_structure_among(receipt, passed)?;
    Ok(trusted(receipt, trust))
}

/// Steps 18 and 19 for every anchor.
pub(super) fn trusted(receipt: &Receipt, trust: &Trust) -> Vec<AnchorReport> {
    receipt.anchors.iter().map(|anchor| AnchorReport::new(anchor, check_trust(anchor, trust))).collect()
}

/// Codes that leave an anchor aside without condemning the receipt, the most telling first (SPEC.md §5.1).
const PRECEDENCE: [Code; 12] = [
    Code::NoTrustedBlock,
    Code::NodeUnreachable,
    Code::NodeBadAnswer,
    Code::NodeBehind,
    Code::TransactionUnknown,
    Code::NotFinal,
    Code::NoEvidence,
    Code::BlockNotTrusted,
    Code::NodeOnOtherChain,
    Code::RegistryMismatch,
    Code::ChainMismatch,
    Code::NoAnchor,
];

/// SPEC.md §5.1: one verdict out of all anchors.
pub(crate) fn conclude(anchors: Vec<AnchorReport>) -> Report {
    let find = |wanted: &dyn Fn(Code) -> bool| anchors.iter().position(|anchor| wanted(anchor.code));
    let condemned = |code: Code| code.verdict() == Verdict::Invalid && !PRECEDENCE.contains(&code);
    let decisive = find(&condemned)
        .or_else(|| find(&|code| code == Code::Ok))
        .or_else(|| PRECEDENCE.into_iter().find_map(|wanted| find(&|code| code == wanted)));
    match decisive {
        Some(at) => {
            let (code, detail) = (anchors[at].code, anchors[at].detail.clone());
            Report::new(code, detail, anchors, Some(at))
        }
        None => Report::new(Code::NoAnchor, "sealed, but not anchored yet".into(), anchors, None),
    }
}

/// Every step but the first and those that ask a node, on a receipt that has been read.
#[must_use]
pub fn verify(document: &Digest, receipt: &Receipt, trust: &Trust) -> Report {
    verify_among(document, receipt, trust, None)
}

/// As [`verify()`], for many receipts.
#[must_use]
pub fn verify_among(document: &Digest, receipt: &Receipt, trust: &Trust, passed: Option<&Passed>) -> Report {
    match assess(document, receipt, trust, passed) {
        Ok(anchors) => decisions::conclude(conclude(anchors), receipt, |nested| conclude(trusted(nested, trust))),
        Err(failure) => failure.into(),
    }
}

/// Every step but those that ask a node, on the bytes of a receipt file.
#[must_use]
pub fn verify_bytes(document: &Digest, receipt: &[u8], trust: &Trust) -> Report {
    match receipt::parse(receipt) {
        Ok(receipt) => verify(document, &receipt, trust),
        Err(failure) => failure.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{AnchorReport, conclude};
    use crate::verdict::Code;
    use crate::{Address, ChainRef, Hash32};

    fn concluded(codes: &[Code]) -> Option<(Code, Option<usize>)> {
        let chain = ChainRef::new(1)?;
        let report = |code: &Code| AnchorReport {
            chain,
            registry: Address::ZERO,
            block_number: 1,
            block_hash: Hash32::ZERO,
            block_time: 1,
            code: *code,
            detail: String::new(),
        };
        let report = conclude(codes.iter().map(report).collect());
        Some((report.code, report.decisive))
    }

    /// SPEC.md §5.1.
    #[test]
    fn several_anchors_make_one_verdict() {
        use Code::{
            BlockNotOnChain, BlockNotTrusted, ChainMismatch, NoAnchor, NoEvidence, NoTrustedBlock, NodeOnOtherChain,
            NodeUnreachable, NotFinal, Ok, RecordAbsent, RegistryMismatch,
        };
        for (codes, code, decisive) in [
            (&[][..], NoAnchor, None),
            (&[Ok, RecordAbsent], RecordAbsent, Some(1)),
            (&[BlockNotOnChain, Ok, RecordAbsent], BlockNotOnChain, Some(0)),
            (&[ChainMismatch, BlockNotTrusted, Ok], Ok, Some(2)),
            (&[NotFinal, NodeUnreachable], NodeUnreachable, Some(1)),
            (&[NoEvidence, NoTrustedBlock], NoTrustedBlock, Some(1)),
            (&[BlockNotTrusted, NoEvidence], NoEvidence, Some(1)),
            (&[ChainMismatch, RegistryMismatch, NodeOnOtherChain], NodeOnOtherChain, Some(2)),
        ] {
            assert_eq!(concluded(codes), Some((code, decisive)), "{codes:?}");
        }
    }

    #[test]
    fn every_code_can_decide() {
        // Those of decisions are given to no anchor.
        for code in Code::ALL.iter().filter(|code| code.step() < 25) {
            assert_eq!(concluded(&[*code]).map(|(code, _)| code), Some(*code));
        }
    }
}
