//! What is printed from remembered parts is what is printed whole.

use proptest::prelude::*;
use sceau_verifier::common::Common;
use sceau_verifier::verify::{Passed, check_structure};
use sceau_verifier::{Code, Receipt, receipt};

use crate::support::batch::seal;
use crate::support::cases::ALL;
use crate::support::chain::Block;
use crate::support::decisions::approved;

#[test]
fn parts_are_the_whole() {
    let mut seen = 0;
    for case in ALL.iter() {
        let Ok(receipt) = receipt::parse(&case.receipt) else { continue };
        let (head, tail) = receipt.to_parts();
        assert_eq!(String::from_utf8([head, tail].concat()).unwrap(), serde_json::to_string(&receipt).unwrap(), "{}", case.name);
        seen += usize::from(!receipt.decisions.is_empty());
    }
    assert!(seen > 0, "receipts with decisions too");
}

proptest! {
    /// Texts that need escaping, all integers, decisions with and without anchors.
    #[test]
    fn the_printed_text_is_that_of_the_types(header in any::<String>(), statement in any::<String>(), integers in any::<[u64; 5]>(), nested in any::<bool>()) {
        let mut receipt = approved();
        receipt.batch.header = header;
        (receipt.entry.index, receipt.tree.size, receipt.batch.number) = (integers[0], integers[1], integers[2]);
        (receipt.anchors[0].block_time, receipt.anchors[0].block_number) = (integers[3], integers[4]);
        receipt.decisions[0].statement = statement;
        if nested {
            receipt.decisions[0].receipt.anchors.clear();
            receipt.decisions[0].receipt.batch.path.clear();
            receipt.decisions.push(receipt.decisions[0].clone());
        }
        prop_assert_eq!(String::from_utf8(receipt.to_bytes()).unwrap(), serde_json::to_string(&receipt).unwrap());
    }

    #[test]
    fn every_receipt_of_a_batch_is_printed_alike(number in 1_u64..1 << 40, count in 1_u64..40, chains in 0_u64..3, first in any::<u64>()) {
        let sealed = seal(number, count);
        let statement = sealed.receipt(1, Vec::new()).statement();
        let block = Block { neighbours: 4, transactions: 5, ..Block::default() };
        let mut anchors: Vec<_> = (0..chains).map(|n| Block { chain_id: 9 + n, ..block.clone() }.anchor(&statement)).collect();
        anchors.sort_by_key(|anchor| (anchor.chain, anchor.registry));
        let first = sealed.receipt(1 + first % count, anchors.clone());
        let common = Common::of(&first, Some(&Passed::default())).unwrap();
        for index in 1..=count {
            let plain = sealed.receipt(index, anchors.clone());
            let entry = plain.entry();
            let mut bytes = common.head(&entry, index, plain.tree.path.clone()).unwrap();
            bytes.extend_from_slice(common.tail());
            prop_assert_eq!(&bytes, &serde_json::to_vec(&plain).unwrap());
            check_structure(&receipt::parse(&bytes).unwrap()).unwrap();
            let other = 1 + index % count;
            if other != index {
                prop_assert_eq!(common.head(&entry, other, plain.tree.path.clone()).unwrap_err().code, Code::EntryNotIncluded);
                let foreign = sealed.receipt(other, Vec::new()).entry();
                prop_assert_eq!(common.head(&foreign, index, plain.tree.path.clone()).unwrap_err().code, Code::EntryNotIncluded);
            }
            prop_assert_eq!(common.head(&entry, 0, plain.tree.path.clone()).unwrap_err().code, Code::ReceiptMalformed);
        }
    }
}

#[test]
fn nothing_in_common_with_what_does_not_verify() {
    let sealed = seal(7, 5);
    let good = sealed.receipt(2, vec![Block::default().anchor(&sealed.receipt(1, Vec::new()).statement())]);
    let passed = Passed::default();
    Common::of(&good, Some(&passed)).unwrap();
    let bent = |code, bend: &dyn Fn(&mut Receipt)| {
        let mut receipt = good.clone();
        bend(&mut receipt);
        assert_eq!(Common::of(&receipt, Some(&passed)).unwrap_err().code, code);
    };
    bent(Code::BatchHeaderMismatch, &|receipt| receipt.batch.number += 1);
    bent(Code::BatchHeaderNotIncluded, &|receipt| receipt.batch.path.reverse());
    bent(Code::EntryNotIncluded, &|receipt| receipt.tree.root = receipt.document.digest);
    bent(Code::BlockHeaderHash, &|receipt| receipt.anchors[0].evidence.as_mut().unwrap().header.0[9] ^= 1);
    bent(Code::BlockHeaderMismatch, &|receipt| receipt.anchors[0].block_time += 1);
    bent(Code::ReceiptMalformed, &|receipt| receipt.anchors.push(receipt.anchors[0].clone()));
}
