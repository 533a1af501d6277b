//! Receipts that are wrong in one way each, and the step that must notice.

use sceau_verifier::registry::Record;
use sceau_verifier::{Bytes, Code, Digest, Receipt};

use super::cases::{Case, anchored, case, plain, sealed};
use super::chain::{Block, list, rlp};

/// Step 1: changes to the text of a good receipt.
pub fn texts() -> Vec<Case> {
    let good = plain();
    let text = good.to_string();
    let swap = |name: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{name}: {from} is not in the receipt");
        raw(&good, name, text.replacen(from, to, 1).into_bytes())
    };
    let digest = good.document.digest.to_string();
    let mut cases = vec![
        swap("white-space", "\"entry\":{", "\"entry\": {"),
        swap("unknown-field", "{\"salt\"", "{\"note\":\"\",\"salt\""),
        swap("missing-field", ",\"index\":5", ""),
        swap("missing-evidence-field", "\"account_proof\"", "\"account_prove\""),
        swap("duplicate-key", "\"index\":5", "\"index\":5,\"index\":5"),
        swap(
            "fields-swapped",
            &format!("\"salt\":\"{}\",\"index\":5", good.entry.salt),
            &format!("\"index\":5,\"salt\":\"{}\"", good.entry.salt),
        ),
        swap("upper-case-digest", &digest, &digest.to_uppercase()),
        swap("upper-case-evidence", "\"header\":\"0xf9", "\"header\":\"0xF9"),
        swap("short-digest", &digest, &digest[1..]),
        swap("digest-with-0x", &digest, &format!("0x{digest}")),
        swap("hash-without-0x", "\"tx_hash\":\"0x", "\"tx_hash\":\""),
        swap("odd-hex", "\"header\":\"0x", "\"header\":\"0x0"),
        swap("escaped-letter", "\"document\"", "\"\\u0064ocument\""),
        swap("escaped-value", "\"chain\":\"eip", "\"chain\":\"\\u0065ip"),
        swap("other-format", "sceau-receipt/1", "sceau-receipt/2"),
        swap("integer-as-text", "\"index\":5", "\"index\":\"5\""),
        swap("integer-as-fraction", "\"index\":5", "\"index\":5.0"),
        swap("integer-with-exponent", "\"index\":5", "\"index\":5e0"),
        swap("negative-zero", "\"transaction\":{\"index\":3", "\"transaction\":{\"index\":-0"),
        swap("leading-zero", "\"index\":5", "\"index\":05"),
        swap("integer-too-large", "\"index\":5", "\"index\":9007199254740992"),
        swap("integer-far-too-large", "\"index\":5", "\"index\":99999999999999999999999"),
        swap("index-zero", "\"index\":5", "\"index\":0"),
        swap("size-one", "\"size\":14", "\"size\":1"),
        swap("null-path", "\"path\":[", "\"path\":null,\"x\":["),
        swap("chain-with-leading-zero", "eip155:31337", "eip155:031337"),
        swap("chain-zero", "eip155:31337", "eip155:0"),
        swap("chain-of-another-namespace", "eip155:31337", "cosmos:31337"),
        swap("chain-too-large", "eip155:31337", "eip155:18446744073709551616"),
        swap("array-for-object", &format!("{{\"digest\":\"{digest}\"}}"), &format!("[\"{digest}\"]")),
        swap("lone-surrogate", "\"header\":\"{", "\"header\":\"\\ud800{"),
        swap("comma-at-end", "]}}}]}", "]}}},]}"),
        raw(&good, "two-line-feeds", format!("{text}\n\n").into_bytes()),
        raw(&good, "carriage-return", format!("{text}\r\n").into_bytes()),
        raw(&good, "space-in-front", format!(" {text}").into_bytes()),
        raw(&good, "byte-order-mark", format!("\u{feff}{text}").into_bytes()),
        raw(&good, "truncated", text.as_bytes()[..text.len() - 1].to_vec()),
        raw(&good, "two-objects", format!("{text}{text}").into_bytes()),
        raw(&good, "empty", Vec::new()),
        raw(&good, "not-utf8", text.bytes().map(|b| if b == b'v' { 0xff } else { b }).collect()),
        raw(&good, "deep-nesting", "[".repeat(5000).into_bytes()),
    ];
    let mut bare = good.clone();
    bare.anchors[0].evidence = None;
    cases.push(raw(&good, "evidence-null", bare.to_string().replace("}]}", ",\"evidence\":null}]}").into_bytes()));

    let mut unsorted = good.clone();
    // As text eip155:4 comes after eip155:31337.
    unsorted.anchors.insert(0, Block { chain_id: 4, ..Block::default() }.anchor(&good.statement()));
    cases.push(case("invalid-anchors-unsorted", &unsorted, Code::ReceiptMalformed));
    let mut twice = good.clone();
    twice.anchors.push(good.anchors[0].clone());
    cases.push(case("invalid-anchor-twice", &twice, Code::ReceiptMalformed));
    cases
}

fn raw(good: &Receipt, name: &str, receipt: Vec<u8>) -> Case {
    Case { receipt, ..case(&format!("invalid-{name}"), good, Code::ReceiptMalformed) }
}

fn bent(name: &str, code: Code, bend: impl FnOnce(&mut Receipt)) -> Case {
    let mut receipt = plain();
    bend(&mut receipt);
    case(&format!("invalid-{name}"), &receipt, code)
}

/// Steps 3 to 6.
pub fn batches() -> Vec<Case> {
    let header = |name: &str, from: &str, to: &str, code| {
        bent(name, code, |receipt| {
            assert!(receipt.batch.header.contains(from), "{name}");
            receipt.batch.header = receipt.batch.header.replacen(from, to, 1);
        })
    };
    let malformed = Code::BatchHeaderMalformed;
    vec![
        header("header-white-space", ",", ", ", malformed),
        header("header-line-feed", "}", "}\n", malformed),
        header("header-version", "\"v\":1", "\"v\":2", malformed),
        header("header-origin-empty", "sceau.example/eu-1", "", malformed),
        header("header-origin-with-space", "sceau.example", "sceau example", malformed),
        header("header-origin-not-ascii", "sceau.example", "scéau.example", malformed),
        header("header-origin-control-character", "sceau.example", "sceau\u{1}\u{7f}\u{8}example", malformed),
        header("header-origin-too-long", "sceau.example", &"a".repeat(101), malformed),
        header("header-leap-second", ":40Z", ":60Z", malformed),
        header("header-time-without-z", "Z\"", "\"", malformed),
        header("header-time-of-no-day", "2026-09-21", "2026-02-29", malformed),
        header("header-time-before-1970", "2026-09-21", "1969-09-21", malformed),
        header("header-unknown-field", "{", "{\"x\":1,", malformed),
        header("header-count-zero", "\"count\":13", "\"count\":0", malformed),
        header("header-is-text", "{", "x{", malformed),
        header("header-number", "\"number\":7", "\"number\":8", Code::BatchHeaderMismatch),
        header("header-count", "\"count\":13", "\"count\":14", Code::BatchHeaderMismatch),
        header("header-count-largest", "\"count\":13", "\"count\":9007199254740991", Code::BatchHeaderMismatch),
        bent("batch-number", Code::BatchHeaderMismatch, |receipt| receipt.batch.number = 8),
        bent("tree-size", Code::BatchHeaderMismatch, |receipt| receipt.tree.size = 15),
        header("header-origin-changed", "eu-1", "eu-2", Code::BatchHeaderNotIncluded),
        header("header-previous-root-changed", "previous_root\":\"", "previous_root\":\"0", malformed),
        header("header-time-changed", "2026-09-21", "2026-09-20", Code::BatchHeaderNotIncluded),
        bent("salt", Code::EntryNotIncluded, |receipt| receipt.entry.salt = [7; 16].into()),
        bent("index-of-neighbour", Code::EntryNotIncluded, |receipt| receipt.entry.index = 4),
        bent("index-out-of-range", Code::EntryNotIncluded, |receipt| receipt.entry.index = 14),
        bent("index-far-out-of-range", Code::EntryNotIncluded, |receipt| receipt.entry.index = (1 << 53) - 1),
        bent("path-too-long", Code::EntryNotIncluded, |receipt| receipt.tree.path.push([1; 32].into())),
        bent("path-too-short", Code::EntryNotIncluded, |receipt| receipt.tree.path.truncate(3)),
        bent("path-empty", Code::EntryNotIncluded, |receipt| receipt.tree.path.clear()),
        bent("path-reversed", Code::EntryNotIncluded, |receipt| receipt.tree.path.reverse()),
        bent("root", Code::EntryNotIncluded, |receipt| receipt.tree.root = Digest::ZERO),
        bent("header-path-too-long", Code::BatchHeaderNotIncluded, |receipt| receipt.batch.path.push([1; 32].into())),
        bent("header-path-too-short", Code::BatchHeaderNotIncluded, |receipt| receipt.batch.path.truncate(3)),
        bent("header-path-of-entry", Code::BatchHeaderNotIncluded, |receipt| receipt.batch.path = receipt.tree.path.clone()),
    ]
}

/// Steps 8 to 17, and anchors that condemn a receipt from beside a good one.
pub fn evidence() -> Vec<Case> {
    let block = |name: &str, code, change: &dyn Fn(&mut Block)| {
        let mut block = Block::default();
        change(&mut block);
        case(&format!("invalid-{name}"), &anchored(&block), code)
    };
    let record = |name: &str, change: &dyn Fn(&mut Record)| {
        block(name, Code::RecordMismatch, &|block| {
            let mut record = Record { timestamp: 1_790_000_000, block_number: 12, size: 14, number: 7 };
            change(&mut record);
            block.record = Some(record);
        })
    };
    let nodes = |name: &str, code, change: fn(&mut sceau_verifier::Evidence)| {
        bent(name, code, |receipt| change(receipt.anchors[0].evidence.as_mut().unwrap()))
    };
    let transaction = |name: &str, code, change| block(name, code, &|block| block.bend_transaction = change);
    let header = |name: &str, code, change| block(name, code, &|block| block.bend_header = change);
    let (malformed, differs) = (Code::TransactionMalformed, Code::TransactionMismatch);
    vec![
        bent("block-hash", Code::BlockHeaderHash, |receipt| receipt.anchors[0].block_hash = [1; 32].into()),
        nodes("block-header", Code::BlockHeaderHash, |evidence| *evidence.header.0.last_mut().unwrap() ^= 1),
        nodes("block-header-empty", Code::BlockHeaderHash, |evidence| evidence.header.0.clear()),
        block("block-header-of-14-fields", Code::BlockHeaderMalformed, &|block| block.header_fields = 14),
        header("block-header-short-root", Code::BlockHeaderMalformed, |fields| fields[3] = rlp(&[1_u8; 31].as_slice())),
        header("block-header-number-with-zero", Code::BlockHeaderMalformed, |fields| fields[8] = rlp(&[0_u8, 12].as_slice())),
        header("block-header-number-too-large", Code::BlockHeaderMalformed, |fields| fields[8] = rlp(&[1_u8; 9].as_slice())),
        header("block-header-time-is-a-list", Code::BlockHeaderMalformed, |fields| fields[11] = vec![0xc0]),
        header("block-header-byte-spelled-long", Code::BlockHeaderMalformed, |fields| fields[12] = vec![0x81, 0x05]),
        header("block-header-number", Code::BlockHeaderMismatch, |fields| fields[8] = rlp(&13_u64)),
        header("block-header-time", Code::BlockHeaderMismatch, |fields| fields[11] = rlp(&1_790_000_001_u64)),
        bent("block-number", Code::BlockHeaderMismatch, |receipt| receipt.anchors[0].block_number += 1),
        bent("block-time", Code::BlockHeaderMismatch, |receipt| receipt.anchors[0].block_time -= 1),
        bent("registry", Code::AccountNotProven, |receipt| receipt.anchors[0].registry = [0x5b; 20].into()),
        header("other-state-root", Code::AccountNotProven, |fields| fields[3] = rlp(&[1_u8; 32].as_slice())),
        nodes("account-proof-cut", Code::AccountNotProven, |evidence| drop(evidence.account_proof.pop())),
        nodes("account-proof-empty", Code::AccountNotProven, |evidence| evidence.account_proof.clear()),
        nodes("account-proof-left-over", Code::AccountNotProven, |evidence| evidence.account_proof.push(Bytes(vec![0xc0]))),
        nodes("storage-proof-cut", Code::RecordNotProven, |evidence| drop(evidence.storage_proof.pop())),
        nodes("storage-proof-left-over", Code::RecordNotProven, |evidence| {
            let last = evidence.storage_proof.last().unwrap().clone();
            evidence.storage_proof.push(last);
        }),
        nodes("storage-proof-of-account", Code::RecordNotProven, |evidence| {
            evidence.storage_proof = evidence.account_proof.clone();
        }),
        other_batch(),
        record("record-of-another-size", &|record| record.size = 15),
        record("record-of-another-batch", &|record| record.number = 8),
        record("record-of-another-block", &|record| record.block_number = 11),
        record("record-of-another-time", &|record| record.timestamp -= 12),
        bent("transaction-hash", Code::TransactionHash, |receipt| receipt.anchors[0].tx_hash = [1; 32].into()),
        nodes("transaction-raw", Code::TransactionHash, |evidence| evidence.transaction.raw.0.push(0)),
        nodes("transaction-index", Code::TransactionNotProven, |evidence| evidence.transaction.index = 4),
        nodes("transaction-proof-cut", Code::TransactionNotProven, |evidence| drop(evidence.transaction.proof.pop())),
        nodes("transaction-proof-left-over", Code::TransactionNotProven, |evidence| {
            evidence.transaction.proof.push(Bytes(Vec::new()));
        }),
        block("transaction-of-another-position", Code::TransactionNotProven, &|block| block.proven_index = Some(4)),
        block("transaction-of-another-type", malformed, &|block| block.kind = 1),
        transaction("transaction-of-13-fields", malformed, |fields| fields.push(rlp(&1_u64))),
        transaction("transaction-creates-a-contract", malformed, |fields| fields[5] = vec![0x80]),
        transaction("transaction-nonce-with-zero", malformed, |fields| fields[1] = vec![0x82, 0, 7]),
        transaction("transaction-parity", malformed, |fields| fields[9] = rlp(&2_u64)),
        transaction("transaction-access-list", malformed, |fields| fields[8] = vec![0x80]),
        transaction("transaction-on-another-chain", differs, |fields| fields[0] = rlp(&1_u64)),
        transaction("transaction-to-another-contract", differs, |fields| fields[5] = rlp(&[0x5b_u8; 20].as_slice())),
        transaction("transaction-with-value", differs, |fields| fields[6] = rlp(&1_u64)),
        transaction("transaction-call-longer", differs, |fields| fields[7] = rlp(&[0_u8; 101].as_slice())),
        transaction("transaction-call-empty", differs, |fields| fields[7] = vec![0x80]),
        transaction("transaction-with-access-list", Code::Ok, |fields| {
            fields[8] = list(&[list(&[rlp(&[1_u8; 20].as_slice()), vec![0xc0]])]);
        })
        .renamed("valid-transaction-with-access-list"),
        beside_a_bad_one(),
    ]
}

impl Case {
    fn renamed(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }
}

/// The evidence of another batch in the same registry.
fn other_batch() -> Case {
    let other = super::batch::seal(8, 13);
    let anchor = Block::default().anchor(&other.receipt(1, Vec::new()).statement());
    case("invalid-evidence-of-another-batch", &sealed().receipt(5, vec![anchor]), Code::RecordNotProven)
}

/// A good anchor does not save a receipt that also holds an inconsistent one.
fn beside_a_bad_one() -> Case {
    let mut receipt = plain();
    let mut bad = Block { chain_id: 4, ..Block::default() }.anchor(&receipt.statement());
    bad.block_time += 1;
    receipt.anchors.push(bad);
    case("invalid-beside-a-good-anchor", &receipt, Code::BlockHeaderMismatch)
}
