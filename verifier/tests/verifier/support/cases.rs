//! Receipts that are right, or not refused: with what the verifier must answer.

use std::sync::LazyLock;

use sceau_verifier::{Anchor, Code, Digest, Receipt, Trust};

use super::batch::{Sealed, document, seal};
use super::chain::Block;

/// One receipt and the answer to it.
pub struct Case {
    pub name: String,
    pub receipt: Vec<u8>,
    pub document: Digest,
    pub trust: Trust,
    pub code: Code,
}

/// Batch 7 of 13 documents, anchored in the default block.
pub fn sealed() -> Sealed {
    seal(7, 13)
}

/// The receipt that most forgeries start from: entry 5 of [`sealed`], one anchor with evidence.
pub fn plain() -> Receipt {
    anchored(&Block::default())
}

pub fn anchored(block: &Block) -> Receipt {
    let sealed = sealed();
    let unanchored = sealed.receipt(5, Vec::new());
    let anchor = block.anchor(&unanchored.statement());
    sealed.receipt(5, vec![anchor])
}

pub fn trust_in(anchors: &[Anchor]) -> Trust {
    Trust { block_hashes: anchors.iter().map(|anchor| anchor.block_hash).collect(), ..Trust::default() }
}

/// A case whose receipt is printed canonically and whose blocks are all trusted.
pub fn case(name: &str, receipt: &Receipt, code: Code) -> Case {
    Case {
        name: name.into(),
        receipt: receipt.to_bytes(),
        document: receipt.document.digest,
        trust: trust_in(&receipt.anchors),
        code,
    }
}

/// Anchors of the same batch on two chains, in canonical order.
fn two_chains(sealed: &Sealed) -> Vec<Anchor> {
    let statement = sealed.receipt(5, Vec::new()).statement();
    let ten = Block { chain_id: 10, registry: [0x77; 20], number: 900, time: 1_790_000_100, ..Block::default() };
    vec![ten.anchor(&statement), Block::default().anchor(&statement)]
}

pub fn accepted() -> Vec<Case> {
    let mut cases = vec![case("valid-plain", &plain(), Code::Ok)];
    let receipt = plain();
    let anchor = &receipt.anchors[0];

    let mut with_lf = case("valid-line-feed-at-end", &receipt, Code::Ok);
    with_lf.receipt.push(b'\n');
    cases.push(with_lf);

    let mut pinned = case("valid-pinned", &receipt, Code::Ok);
    pinned.trust.registry = Some(anchor.registry);
    pinned.trust.chain = Some(anchor.chain);
    cases.push(pinned);

    for (name, block) in [
        ("valid-transaction-alone", Block { index: 0, transactions: 1, ..Block::default() }),
        ("valid-transaction-first", Block { index: 0, ..Block::default() }),
        ("valid-transaction-127", Block { index: 127, transactions: 300, ..Block::default() }),
        ("valid-transaction-128", Block { index: 128, transactions: 300, ..Block::default() }),
        ("valid-transaction-256", Block { index: 256, transactions: 300, ..Block::default() }),
        ("valid-header-london", Block { header_fields: 16, ..Block::default() }),
        ("valid-header-of-a-fork-to-come", Block { header_fields: 24, ..Block::default() }),
        ("valid-large-chain-id", Block { chain_id: u64::MAX, ..Block::default() }),
    ] {
        cases.push(case(name, &anchored(&block), Code::Ok));
    }

    for (name, number, count, index) in [
        ("valid-one-document", 1, 1, 1),
        ("valid-batch-zero", 0, 2, 2),
        ("valid-promoted-edge", 8, 4, 4),
        ("valid-promoted-edge-of-257", 9, 256, 256),
        ("valid-batch-of-1001", 10, 1001, 640),
    ] {
        let sealed = seal(number, count);
        let anchor = Block::default().anchor(&sealed.receipt(1, Vec::new()).statement());
        cases.push(case(name, &sealed.receipt(index, vec![anchor]), Code::Ok));
    }

    let sealed = sealed();
    let both = sealed.receipt(5, two_chains(&sealed));
    cases.push(case("valid-two-chains", &both, Code::Ok));
    let mut second = case("valid-two-chains-second-trusted", &both, Code::Ok);
    second.trust.block_hashes.remove(&both.anchors[0].block_hash);
    cases.push(second);
    let mut named = case("valid-two-chains-one-pinned", &both, Code::Ok);
    named.trust.chain = Some(both.anchors[1].chain);
    cases.push(named);
    let mut beside = both.clone();
    beside.anchors[0].evidence = None;
    cases.push(case("valid-beside-an-anchor-without-evidence", &beside, Code::Ok));
    cases
}

pub fn undecided() -> Vec<Case> {
    let receipt = plain();
    let sealed = sealed();
    let mut cases = vec![case("notyet-not-anchored", &sealed.receipt(5, Vec::new()), Code::NoAnchor)];
    let mut bare = receipt.clone();
    bare.anchors[0].evidence = None;
    cases.push(case("notyet-no-evidence", &bare, Code::NoEvidence));
    let mut untrusted = case("unknown-no-trusted-block", &receipt, Code::NoTrustedBlock);
    untrusted.trust = Trust::default();
    cases.push(untrusted);

    let mut both = sealed.receipt(5, two_chains(&sealed));
    both.anchors[1].evidence = None;
    let mut other = case("notyet-one-not-trusted-one-without-evidence", &both, Code::NoEvidence);
    other.trust.block_hashes.remove(&both.anchors[0].block_hash);
    cases.push(other);
    let mut none = case("unknown-one-without-evidence", &both, Code::NoTrustedBlock);
    none.trust = Trust::default();
    cases.push(none);
    let mut pinned = case("notyet-pinned-to-the-one-without-evidence", &both, Code::NoEvidence);
    pinned.trust.chain = Some(both.anchors[1].chain);
    cases.push(pinned);
    cases
}

/// Pins and trusted hashes that the receipt does not meet.
pub fn refused_by_trust() -> Vec<Case> {
    let receipt = plain();
    let with = |name: &str, code, change: &dyn Fn(&mut Trust)| {
        let mut case = case(name, &receipt, code);
        change(&mut case.trust);
        case
    };
    let mut other_document = case("invalid-other-document", &receipt, Code::DocumentMismatch);
    other_document.document = document(99);
    vec![
        other_document,
        with("invalid-pinned-to-another-chain", Code::ChainMismatch, &|trust| trust.chain = "eip155:1".parse().ok()),
        with("invalid-pinned-to-another-registry", Code::RegistryMismatch, &|trust| {
            trust.registry = Some([0x5b; 20].into());
        }),
        with("invalid-block-not-trusted", Code::BlockNotTrusted, &|trust| trust.block_hashes = [[9; 32].into()].into()),
    ]
}

/// Every case, built once.
pub static ALL: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let groups = [
        accepted(),
        undecided(),
        refused_by_trust(),
        super::forgeries::texts(),
        super::forgeries::batches(),
        super::forgeries::evidence(),
        super::decisions::all(),
    ];
    groups.into_iter().flatten().collect()
});
