//! Receipts that carry decisions: right ones, and such as are wrong in one way each.

use sceau_verifier::decision::{self, Choice, Statement};
use sceau_verifier::receipt::Decision;
use sceau_verifier::{Anchor, Code, Digest, Entry, Receipt, Trust};

use super::batch::{document, entry, seal_entries};
use super::cases::{Case, case, trust_in};
use super::chain::Block;

/// The document that is approved.
fn contract() -> Digest {
    document(1)
}

pub fn statement() -> Statement {
    Statement {
        document: contract(),
        account: "acme".into(),
        validator: "Maître Dupont".into(),
        decision: Choice::Approved,
        comment: String::new(),
        decided_at: 1_789_999_800,
        nonce: [0x42; 16].into(),
    }
}

/// A block with few neighbours: these receipts hold two or three of them.
pub fn block() -> Block {
    Block { neighbours: 3, transactions: 5, ..Block::default() }
}

/// The statement sealed as a decision, in batch `number` with two documents.
fn sealed(text: &str, number: u64, block: &Block) -> Decision {
    let digest = Digest::of(text.as_bytes());
    sealed_as(text, Entry { digest, salt: decision::salt(&digest) }, number, block)
}

fn sealed_as(text: &str, own: Entry, number: u64, block: &Block) -> Decision {
    let batch = seal_entries(number, [own, entry(number, 20), entry(number, 21)].to_vec());
    let anchor = block.anchor(&batch.receipt(1, Vec::new()).statement());
    Decision { statement: text.into(), receipt: batch.receipt_of(&own.digest, vec![anchor]) }
}

/// The contract's receipt of batch 7, in the default block, with these decisions.
fn carrying(decisions: Vec<Decision>) -> Receipt {
    carrying_on(&[block()], decisions)
}

fn carrying_on(blocks: &[Block], decisions: Vec<Decision>) -> Receipt {
    let batch = seal_entries(7, (0..4).map(|n| entry(7, n)).collect());
    let unanchored = batch.receipt_of(&contract(), Vec::new()).statement();
    let anchors: Vec<Anchor> = blocks.iter().map(|block| block.anchor(&unanchored)).collect();
    Receipt { decisions, ..batch.receipt_of(&contract(), anchors) }
}

/// A block after the default one, in the same registry.
fn later() -> Block {
    Block { number: 13, time: 1_790_000_012, ..block() }
}

/// One approval, in a later batch and block.
pub fn approved() -> Receipt {
    carrying(vec![sealed(&statement().to_string(), 8, &later())])
}

/// All blocks of the receipt and of its decisions.
pub fn trust_of(receipt: &Receipt) -> Trust {
    let mut trust = trust_in(&receipt.anchors);
    for decision in &receipt.decisions {
        trust.block_hashes.extend(trust_in(&decision.receipt.anchors).block_hashes);
    }
    trust
}

fn trusting(name: &str, receipt: &Receipt, code: Code) -> Case {
    Case { trust: trust_of(receipt), ..case(name, receipt, code) }
}

pub fn all() -> Vec<Case> {
    [right(), texts(), statements(), mismatches(), nested(), trust()].into_iter().flatten().collect()
}

fn right() -> Vec<Case> {
    let said = Statement {
        account: "é".repeat(100),
        validator: "\u{202e}🖋\u{7f}\u{1}".into(),
        comment: format!("\"vu\" \\ /\u{2028}\n\t{}", "ü".repeat(989)),
        ..statement()
    };
    let two = |first: u64, second: u64| {
        let other = Statement { validator: "Maître Durand".into(), ..statement() };
        vec![sealed(&statement().to_string(), first, &later()), sealed(&other.to_string(), second, &block())]
    };
    let mut pinned = trusting("valid-decision-pinned", &approved(), Code::Ok);
    pinned.trust.registry = Some(block().registry.into());
    pinned.trust.chain = "eip155:31337".parse().ok();
    let ten = Block { chain_id: 10, registry: [0x77; 20], ..block() };
    vec![
        trusting("valid-decision", &approved(), Code::Ok),
        trusting("valid-decision-of-many-characters", &carrying(vec![sealed(&said.to_string(), 8, &later())]), Code::Ok),
        trusting("valid-decisions-of-two-validators", &carrying(two(5, 8)), Code::Ok),
        trusting("valid-decision-on-one-of-two-chains", &carrying_on(&[ten, block()], two(8, 9)), Code::Ok),
        pinned,
    ]
}

/// Step 1.
fn texts() -> Vec<Case> {
    let good = approved();
    let text = good.to_string();
    let raw = |name: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{name}: {from} is not in the receipt");
        let receipt = text.replacen(from, to, 1).into_bytes();
        Case { receipt, ..trusting(&format!("invalid-{name}"), &good, Code::ReceiptMalformed) }
    };
    let bare = Receipt { decisions: Vec::new(), ..good.clone() }.to_string();
    let bare = &bare[..bare.len() - 1];
    let appended = |name: &str, field: &str| {
        let receipt = format!("{bare},\"decisions\":{field}}}").into_bytes();
        Case { receipt, ..trusting(&format!("invalid-{name}"), &good, Code::ReceiptMalformed) }
    };
    let bent = |name: &str, decisions| trusting(&format!("invalid-{name}"), &carrying(decisions), Code::ReceiptMalformed);
    let one = good.decisions[0].clone();
    let earlier = sealed(&Statement { comment: "x".into(), ..statement() }.to_string(), 6, &block());
    let mut deep = one.clone();
    deep.receipt.decisions.push(one.clone());
    let many = (8..25).map(|number| sealed(&Statement { decided_at: number, ..statement() }.to_string(), number, &block()));
    let index = format!("\"salt\":\"{}\",\"index\":", one.receipt.entry.salt);
    vec![
        appended("decisions-empty", "[]"),
        appended("decisions-null", "null"),
        appended("decisions-object", "{}"),
        raw("decision-with-a-field-more", "\"decisions\":[{", "\"decisions\":[{\"v\":1,"),
        raw("decision-without-statement", "\"statement\":", "\"statements\":"),
        raw("decision-index-zero", &format!("{index}{}", one.receipt.entry.index), &format!("{index}0")),
        raw("decision-statement-escaped", "sceau-decision", "sceau\\u002ddecision"),
        raw("decision-twice-the-field", "\"decisions\":[", "\"decisions\":[],\"decisions\":["),
        bent("decisions-unsorted", vec![one.clone(), earlier]),
        bent("decisions-twice", vec![one.clone(), one]),
        bent("decisions-nested", vec![deep]),
        bent("decisions-too-many", many.collect()),
    ]
}

/// Step 25.
fn statements() -> Vec<Case> {
    let malformed = |name: &str, text: &str| {
        let receipt = carrying(vec![sealed(text, 8, &later())]);
        trusting(&format!("invalid-decision-{name}"), &receipt, Code::DecisionMalformed)
    };
    let good = statement().to_string();
    let swap = |name: &str, from: &str, to: &str| {
        assert!(good.contains(from), "{name}: {from} is not in the statement");
        malformed(name, &good.replacen(from, to, 1))
    };
    let with = |name: &str, change: &dyn Fn(&mut Statement)| {
        let mut statement = statement();
        change(&mut statement);
        malformed(name, &statement.to_string())
    };
    vec![
        malformed("text-empty", ""),
        malformed("text-is-a-list", "[]"),
        malformed("line-feed", &format!("{good}\n")),
        swap("white-space", ",", ", "),
        swap("unknown-field", "\"nonce\"", "\"note\":1,\"nonce\""),
        swap("missing-comment", "\"comment\":\"\",", ""),
        swap("duplicate-comment", "\"comment\":\"\",", "\"comment\":\"\",\"comment\":\"\","),
        swap("comment-null", "\"comment\":\"\"", "\"comment\":null"),
        swap("fields-swapped", "\"decision\":\"approved\",\"comment\":\"\"", "\"comment\":\"\",\"decision\":\"approved\""),
        swap("another-format", "sceau-decision/1", "sceau-decision/2"),
        swap("another-word", "approved", "accepted"),
        swap("upper-case-digest", &contract().to_string(), &contract().to_string().to_uppercase()),
        swap("document-is-a-list", &format!("\"{}\"", contract()), &format!("[\"{}\"]", contract())),
        swap("name-escaped", "Maître", "Ma\\u00eetre"),
        swap("lone-surrogate", "acme", "\\ud800"),
        swap("time-with-fraction", "2026-09-21T14:10:00Z", "2026-09-21T14:10:00.5Z"),
        swap("time-of-no-day", "2026-09-21T", "2026-02-30T"),
        swap("short-nonce", "4242", "42"),
        with("account-empty", &|statement| statement.account.clear()),
        with("account-too-long", &|statement| statement.account = "é".repeat(101)),
        with("validator-empty", &|statement| statement.validator.clear()),
        with("validator-too-long", &|statement| statement.validator = "🖋".repeat(101)),
        with("comment-too-long", &|statement| statement.comment = "ü".repeat(1_001)),
    ]
}

/// Step 26.
fn mismatches() -> Vec<Case> {
    let mismatch = |name: &str, decision| {
        let receipt = carrying(vec![decision]);
        trusting(&format!("invalid-decision-{name}"), &receipt, Code::DecisionMismatch)
    };
    let about = Statement { document: document(2), ..statement() };
    let refusal = Statement { decision: Choice::Refused, ..statement() };
    let text = statement().to_string();
    let other = sealed(&Statement { comment: "other".into(), ..statement() }.to_string(), 8, &later());
    let submitted = Entry { digest: Digest::of(text.as_bytes()), salt: entry(8, 1).salt };
    vec![
        mismatch("about-another-document", sealed(&about.to_string(), 8, &later())),
        mismatch("that-refuses", sealed(&refusal.to_string(), 8, &later())),
        mismatch("with-another-receipt", Decision { statement: text.clone(), ..other }),
        // What any submitter can have sealed: the digest of a statement, with a random salt.
        mismatch("forged-by-a-submitter", sealed_as(&text, submitted, 8, &later())),
    ]
}

/// Step 27.
fn nested() -> Vec<Case> {
    let bent = |name: &str, bend: &dyn Fn(&mut Receipt)| {
        let mut receipt = approved();
        bend(&mut receipt.decisions[0].receipt);
        trusting(&format!("invalid-decision-{name}"), &receipt, Code::DecisionReceiptInvalid)
    };
    let mut unanchored = approved();
    unanchored.anchors.clear();
    unanchored.decisions[0].receipt.tree.path.clear();
    vec![
        bent("header-malformed", &|receipt| receipt.batch.header.push(' ')),
        bent("header-of-another-batch", &|receipt| receipt.batch.number += 1),
        bent("not-included", &|receipt| receipt.tree.path.truncate(1)),
        bent("header-not-included", &|receipt| receipt.batch.path.truncate(1)),
        bent("block-header", &|receipt| receipt.anchors[0].evidence.as_mut().unwrap().header.0.push(0)),
        bent("record-of-another-block", &|receipt| {
            let lying = sceau_verifier::registry::Record { timestamp: 1, block_number: 2, size: 4, number: 8 };
            receipt.anchors = vec![Block { record: Some(lying), ..later() }.anchor(&receipt.statement())];
        }),
        trusting("invalid-decision-not-included-though-nothing-is-anchored", &unanchored, Code::DecisionReceiptInvalid),
    ]
}

/// Step 28, and what comes before it.
fn trust() -> Vec<Case> {
    let text = statement().to_string();
    let elsewhere = carrying(vec![sealed(&text, 8, &Block { registry: [0x5b; 20], ..later() })]);
    let other_chain = carrying(vec![sealed(&text, 8, &Block { chain_id: 5, ..later() })]);
    let mut pinned = trusting("invalid-decision-in-another-registry-than-pinned", &elsewhere, Code::DecisionNotProven);
    pinned.trust.registry = Some(block().registry.into());
    let mut unanchored = approved();
    unanchored.decisions[0].receipt.anchors.clear();
    let mut bare = approved();
    bare.decisions[0].receipt.anchors[0].evidence = None;
    let mut untrusted = trusting("unknown-decision-in-a-block-not-trusted", &approved(), Code::DecisionNotChecked);
    untrusted.trust = trust_in(&approved().anchors);
    let mut both = carrying(vec![bare.decisions[0].clone(), elsewhere.decisions[0].clone()]);
    both.decisions[1] = sealed(&text, 9, &Block { registry: [0x5b; 20], ..later() });
    let mut nothing = trusting("unknown-decision-and-no-trusted-block", &approved(), Code::NoTrustedBlock);
    nothing.trust = Trust::default();
    let mut early = approved();
    early.anchors.clear();
    let mut of_document = trusting("invalid-block-not-trusted-though-the-decision-is", &approved(), Code::BlockNotTrusted);
    of_document.trust = trust_in(&approved().decisions[0].receipt.anchors);
    vec![
        trusting("invalid-decision-in-another-registry", &elsewhere, Code::DecisionNotProven),
        trusting("invalid-decision-on-another-chain", &other_chain, Code::DecisionNotProven),
        pinned,
        trusting("invalid-decision-elsewhere-beside-one-not-final", &both, Code::DecisionNotProven),
        trusting("notyet-decision-not-anchored", &unanchored, Code::DecisionNotFinal),
        trusting("notyet-decision-without-evidence", &bare, Code::DecisionNotFinal),
        untrusted,
        trusting("notyet-not-anchored-with-a-decision", &early, Code::NoAnchor),
        nothing,
        of_document,
    ]
}
