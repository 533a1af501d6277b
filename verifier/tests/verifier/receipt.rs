//! The strict reader and the binding of every byte.

use proptest::prelude::*;
use sceau_verifier::decisions::is_decision;
use sceau_verifier::receipt::{self, MAX_BYTES};
use sceau_verifier::verify::{check_structure, verify, verify_bytes};
use sceau_verifier::{BatchHeader, Code, Digest, Evidence, Receipt, Trust, Verdict};

use crate::support::cases::{ALL, anchored, plain, trust_in};
use crate::support::chain::Block;
use crate::support::decisions::{approved, trust_of};

/// A whole receipt with every kind of trie node in it, but few of them: each of its bytes is tried.
fn small() -> Receipt {
    anchored(&Block { neighbours: 3, transactions: 5, ..Block::default() })
}

#[test]
fn every_changed_byte_is_invalid() {
    let receipt = small();
    let (good, trust) = ([receipt.to_bytes(), vec![b'\n']].concat(), trust_in(&receipt.anchors));
    let digest = receipt.document.digest;
    assert_eq!(verify_bytes(&digest, &good, &trust).code, Code::Ok);
    let half = good.len() / 2;
    // Two halves side by side: this is the longest test of all.
    std::thread::scope(|scope| {
        for range in [0..half, half..good.len()] {
            let (good, trust) = (&good, &trust);
            scope.spawn(move || {
                let mut bytes = good.clone();
                for at in range {
                    let byte = good[at];
                    for other in neighbours(byte).into_iter().filter(|other| *other != byte) {
                        bytes[at] = other;
                        let report = verify_bytes(&digest, &bytes, trust);
                        assert_eq!(report.verdict, Verdict::Invalid, "byte {at}: {byte:#x} to {other:#x}");
                        assert!(report.code.step() > 0);
                    }
                    bytes[at] = byte;
                }
            });
        }
    });
}

/// The same for the part that decisions add: statement, nested receipt, nested evidence.
#[test]
fn every_changed_byte_of_a_decision_is_invalid() {
    let receipt = approved();
    let (good, trust) = (receipt.to_bytes(), trust_of(&receipt));
    let digest = receipt.document.digest;
    assert_eq!(verify_bytes(&digest, &good, &trust).code, Code::Ok);
    let start = Receipt { decisions: Vec::new(), ..receipt }.to_bytes().len() - 1;
    let mut bytes = good.clone();
    for at in start..good.len() {
        let byte = good[at];
        for other in neighbours(byte).into_iter().take(1).filter(|other| *other != byte) {
            bytes[at] = other;
            let report = verify_bytes(&digest, &bytes, &trust);
            assert_eq!(report.verdict, Verdict::Invalid, "byte {at}: {byte:#x} to {other:#x}");
        }
        bytes[at] = byte;
        let removed = [&good[..at], &good[at + 1..]].concat();
        assert_eq!(verify_bytes(&digest, &removed, &trust).verdict, Verdict::Invalid, "byte {at} removed");
    }
}

#[test]
fn decisions_are_reported_with_who_and_what() {
    let receipt = approved();
    let report = verify(&receipt.document.digest, &receipt, &trust_of(&receipt));
    let [decision] = &report.decisions[..] else { panic!("{report:?}") };
    assert_eq!((decision.validator.as_str(), decision.account.as_str()), ("Maître Dupont", "acme"));
    assert_eq!((decision.code, decision.batch), (Some(Code::Ok), 8));
    assert_eq!(decision.decided_at, "2026-09-21T14:10:00Z");
    assert_eq!(decision.anchor.as_ref().map(|anchor| anchor.block_number), Some(13));
    assert_eq!(report.decisive.map(|at| report.anchors[at].block_number), Some(12), "the document's own block");
    assert!(is_decision(&receipt.decisions[0].receipt) && !is_decision(&receipt));

    // What is not looked at is not said to be in order.
    let report = verify(&receipt.document.digest, &receipt, &Trust::default());
    assert_eq!((report.code, report.decisions[0].code), (Code::NoTrustedBlock, None));
}

/// Another of the same kind (digit, hex letter, letter), the other case, something that ends a string, not ASCII.
fn neighbours(byte: u8) -> [u8; 4] {
    let alike = match byte {
        b'9' => b'1',
        b'f' => b'a',
        byte => byte + 1,
    };
    [alike, byte ^ 0x20, b'"', byte ^ 0x80]
}

#[test]
fn every_removed_or_doubled_byte_is_invalid() {
    let receipt = small();
    let (good, trust) = (receipt.to_bytes(), trust_in(&receipt.anchors));
    for at in 0..good.len() {
        let removed = [&good[..at], &good[at + 1..]].concat();
        let doubled = [&good[..=at], &good[at..]].concat();
        for bent in [removed, doubled] {
            assert_eq!(verify_bytes(&receipt.document.digest, &bent, &trust).verdict, Verdict::Invalid, "byte {at}");
        }
    }
}

#[test]
fn parts_survive_on_their_own() {
    let receipt = plain();
    let evidence = receipt.anchors[0].evidence.clone().unwrap();
    let text = serde_json::to_string(&evidence).unwrap();
    assert_eq!(serde_json::from_str::<Evidence>(&text).unwrap(), evidence);
    assert!(receipt.to_string().contains(&text));
    assert!(serde_json::from_str::<Evidence>(&text.replacen('{', "{\"x\":1,", 1)).is_err());
    let digest = serde_json::to_string(&receipt.document.digest).unwrap();
    assert_eq!(digest, format!("\"{}\"", receipt.document.digest));
    assert_eq!(serde_json::from_value::<Digest>(serde_json::from_str(&digest).unwrap()).unwrap(), receipt.document.digest);
}

#[test]
fn hex_has_one_spelling() {
    let text = Digest::of(b"x").to_string();
    assert_eq!(text.parse(), Ok(Digest::of(b"x")));
    for bad in
        [text.to_uppercase(), format!("0x{text}"), text[1..].to_owned(), format!("{text}00"), "g".repeat(64), "é".repeat(32)]
    {
        assert!(bad.parse::<Digest>().is_err(), "{bad}");
        assert!(serde_json::from_value::<Digest>(bad.into()).is_err());
    }
}

#[test]
fn structure_is_checked_without_any_trust() {
    let mut receipt = plain();
    assert_eq!(check_structure(&receipt).unwrap(), BatchHeader::parse(&receipt.batch.header).unwrap());
    receipt.anchors[0].block_time += 1;
    assert_eq!(check_structure(&receipt).unwrap_err().code, Code::BlockHeaderMismatch);
    receipt.anchors[0].block_number = 1 << 53;
    assert_eq!(check_structure(&receipt).unwrap_err().code, Code::ReceiptMalformed);
}

#[test]
fn the_length_limit_is_exact() {
    let mut receipt = plain();
    let short = receipt.to_bytes().len();
    receipt.anchors[0].evidence.as_mut().unwrap().header.0.resize((MAX_BYTES - short) / 2, 0);
    let room = MAX_BYTES - receipt.to_bytes().len();
    receipt.anchors[0].evidence.as_mut().unwrap().header.0.extend(vec![0; room / 2]);
    assert_eq!(receipt.batch.path.len(), 4);
    let bytes = receipt.to_bytes();
    assert!(bytes.len() <= MAX_BYTES && bytes.len() + 2 > MAX_BYTES);
    assert!(receipt::parse(&bytes).is_ok());
    receipt.anchors[0].evidence.as_mut().unwrap().header.0.push(0);
    assert_eq!(receipt::parse(&receipt.to_bytes()).unwrap_err().code, Code::ReceiptMalformed);
}

#[test]
fn details_cannot_steer_a_terminal() {
    let report = verify_bytes(&Digest::ZERO, b"{\"\\u001b[2J\\u001b]0;x\":1}", &trust_in(&[]));
    assert_eq!(report.code, Code::ReceiptMalformed);
    assert!(!report.detail.chars().any(char::is_control), "{}", report.detail);
}

#[test]
fn codes_are_unique_and_exit_statuses_fixed() {
    let mut names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Code::ALL.len());
    assert!(Code::ALL.is_sorted_by_key(|code| code.step()));
    let statuses = [Verdict::Verified, Verdict::Invalid, Verdict::NotYet, Verdict::CannotTell].map(Verdict::exit_status);
    assert_eq!(statuses, [0, 1, 3, 4]);
    let spec = include_str!("../../SPEC.md");
    for code in Code::ALL {
        assert!(spec.contains(&format!("`{code}`")), "{code} is not in SPEC.md");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(receipt::parse(&bytes).is_err());
    }

    #[test]
    fn mangled_receipts_never_panic_and_never_pass(
        case in any::<prop::sample::Index>(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..80, prop::collection::vec(any::<u8>(), 0..12)), 1..4),
    ) {
        let case = &ALL[case.index(ALL.len())];
        let mut bytes = case.receipt.clone();
        for (at, len, insert) in cuts {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            let end = (at + len).min(bytes.len());
            bytes.splice(at..end, insert);
        }
        if let Ok(receipt) = receipt::parse(&bytes) {
            let body = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            prop_assert_eq!(receipt.to_bytes(), body);
        }
        let report = verify_bytes(&case.document, &bytes, &case.trust);
        let unchanged = bytes.trim_ascii_end() == case.receipt.trim_ascii_end();
        prop_assert!(unchanged || report.verdict != Verdict::Verified || case.name.contains("without-evidence") );
    }

    #[test]
    fn what_is_printed_is_read_back(
        origin in "[A-Za-z0-9._:/-]{1,100}", number in 0_u64..1 << 53, count in 1_u64..1 << 53, sealed_at in 0_u64..253_402_300_800,
        root: [u8; 32], index in 1_u64..1 << 53, path in prop::collection::vec(any::<[u8; 32]>(), 0..54),
    ) {
        let header = BatchHeader { origin, number, previous_root: root.into(), sealed_at, count };
        prop_assert_eq!(&BatchHeader::parse(&header.to_string()).unwrap(), &header);
        prop_assert!(header.to_string().len() > sceau_verifier::Entry::LEN);
        let mut receipt = plain_shell();
        receipt.batch.header = header.to_string();
        receipt.batch.number = number;
        receipt.entry.index = index;
        receipt.tree.path = path.into_iter().map(Digest::from).collect();
        prop_assert_eq!(receipt::parse(&receipt.to_bytes()).unwrap(), receipt);
    }
}

fn plain_shell() -> sceau_verifier::Receipt {
    crate::support::cases::sealed().receipt(5, Vec::new())
}
