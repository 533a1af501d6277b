//! The trie check and the RLP reader against `alloy-trie` and `alloy-rlp`.

use alloy_primitives::{B256, Bytes as AlloyBytes, keccak256};
use alloy_rlp::Encodable;
use alloy_trie::Nibbles;
use alloy_trie::proof::verify_proof;
use proptest::prelude::*;
use sceau_verifier::evm::{self, block::BlockHeader, transaction::Transaction};
use sceau_verifier::registry::{Record, Statement, anchor_call, anchors_call};
use sceau_verifier::trie::{self, TrieError};
use sceau_verifier::{Bytes, ChainRef, Digest, Hash32, rlp};

use crate::support::chain::{list, rlp as encode, trie as build};

fn hash(root: B256) -> Hash32 {
    root.0.into()
}

/// Whether `alloy-trie` accepts the same proof of the same value.
fn oracle(root: B256, key: &[u8], value: Option<&[u8]>, nodes: &[Bytes]) -> bool {
    let nodes: Vec<AlloyBytes> = nodes.iter().map(|node| node.0.clone().into()).collect();
    verify_proof(root, Nibbles::unpack(key), value.map(<[u8]>::to_vec), &nodes).is_ok()
}

fn items(count: u64, value: impl Fn(u64) -> Vec<u8>) -> Vec<(Vec<u8>, Vec<u8>)> {
    (0..count).map(|n| (keccak256(n.to_be_bytes()).to_vec(), value(n))).collect()
}

#[test]
fn every_key_of_tries_of_many_sizes() {
    for count in [1, 2, 3, 16, 17, 60] {
        let items = items(count, |n| format!("a value of some length {n:030}").into_bytes());
        for (key, value) in &items {
            let (root, nodes) = build(&items, key);
            assert_eq!(trie::value(&hash(root), key, &nodes), Ok(value.as_slice()), "{count}");
            assert!(oracle(root, key, Some(value), &nodes));
        }
    }
}

#[test]
fn nodes_inside_their_parent_are_walked() {
    // Keys of two bytes and values of one make leaves, and whole branches, of less than 32 bytes.
    let items: Vec<_> = (0..200_u16).map(|n| ((n * 7).to_be_bytes().to_vec(), vec![(n % 100) as u8 + 1])).collect();
    let mut inside = 0;
    for (key, value) in &items {
        let (root, nodes) = build(&items, key);
        assert_eq!(trie::value(&hash(root), key, &nodes), Ok(value.as_slice()));
        assert!(oracle(root, key, Some(value), &nodes));
        let last = rlp::exact(&nodes.last().unwrap().0).unwrap().list().unwrap();
        inside += usize::from(last.len() == 17);
    }
    assert!(inside > 150, "only {inside} leaves stood inside their parent");
}

#[test]
fn every_changed_byte_of_a_proof_fails() {
    let items = items(40, |n| format!("a value of some length {n:030}").into_bytes());
    let (key, value) = &items[11];
    let (root, nodes) = build(&items, key);
    for at in 0..nodes.len() {
        for byte in 0..nodes[at].0.len() {
            let mut bent = nodes.clone();
            bent[at].0[byte] ^= 1;
            assert_eq!(trie::value(&hash(root), key, &bent), Err(TrieError::OtherNode));
            assert!(!oracle(root, key, Some(value), &bent));
        }
    }
    assert_eq!(trie::value(&hash(root), key, &nodes[..nodes.len() - 1]), Err(TrieError::Missing));
    assert_eq!(trie::value(&hash(root), key, &nodes[1..]), Err(TrieError::OtherNode));
    let longer = [nodes.clone(), nodes[..1].to_vec()].concat();
    assert_eq!(trie::value(&hash(root), key, &longer), Err(TrieError::LeftOver));
    assert_eq!(trie::value::<Bytes>(&hash(root), key, &[]), Err(TrieError::Missing));
}

#[test]
fn absent_keys_are_not_proven() {
    let items = items(40, |n| format!("a value of some length {n:030}").into_bytes());
    for n in 100..200_u64 {
        let key = keccak256(n.to_be_bytes());
        let (root, nodes) = build(&items, key.as_slice());
        assert_eq!(trie::value(&hash(root), key.as_slice(), &nodes), Err(TrieError::Absent));
        assert!(oracle(root, key.as_slice(), None, &nodes));
    }
    // Shorter and longer keys than those in the trie.
    let (root, nodes) = build(&items, &items[0].0);
    assert!(trie::value(&hash(root), &items[0].0[..1], &nodes).is_err());
    assert!(trie::value(&hash(root), &[items[0].0.clone(), vec![0]].concat(), &nodes).is_err());
}

/// Nodes whose hash is right but whose shape is not.
#[test]
fn malformed_nodes_are_refused() {
    let value = encode(&b"value".as_slice());
    let leaf = |path: &[u8]| list(&[encode(&path), value.clone()]);
    let check = |node: Vec<u8>, key: &[u8]| trie::value(&evm::keccak256(&node), key, &[node]).map(<[u8]>::to_vec);
    assert_eq!(check(leaf(&[0x20, 0xab]), &[0xab]), Ok(b"value".to_vec()));
    for (what, node) in [
        ("flag 4", leaf(&[0x40, 0xab])),
        ("padding", leaf(&[0x21, 0xab])),
        ("empty path", leaf(&[])),
        ("3 items", list(&[encode(&[0x20, 0xab_u8].as_slice()), value.clone(), value.clone()])),
        ("empty list", vec![0xc0]),
        ("a string", value.clone()),
        ("bytes after the end", [leaf(&[0x20, 0xab]), vec![0]].concat()),
        ("a path that is a list", list(&[list(&[]), value.clone()])),
        ("a value that is a list", list(&[encode(&[0x20, 0xab_u8].as_slice()), list(&[])])),
        ("an extension without a path", list(&[encode(&[0_u8].as_slice()), leaf(&[0x20, 0xab])])),
        ("an extension to nothing", list(&[encode(&[0x00, 0xab_u8].as_slice()), vec![0x80]])),
    ] {
        assert!(matches!(check(node, &[0xab]), Err(TrieError::Node(_))), "{what}");
    }
    assert_eq!(check(list(&[encode(&[0x20, 0xab_u8].as_slice()), vec![0x80]]), &[0xab]), Err(TrieError::Absent));

    // A child of 32 bytes or more must be named by its hash, not stand inside.
    let long = list(&[encode(&[0x3b_u8].as_slice()), encode(&[7_u8; 40].as_slice())]);
    let short = list(&[encode(&[0x3b_u8].as_slice()), encode(&[7_u8; 9].as_slice())]);
    let branch = |child: Vec<u8>| {
        let mut items = vec![vec![0x80]; 17];
        items[0xa] = child;
        list(&items)
    };
    assert!(matches!(check(branch(long), &[0xab]), Err(TrieError::Node(_))));
    assert_eq!(check(branch(short), &[0xab]), Ok(vec![7; 9]));
}

#[test]
fn only_canonical_rlp() {
    for bad in [
        &[][..],
        &[0x81, 0x05],
        &[0x83, 1, 2],
        &[0xb8, 1, 9],
        &[0xb8, 55],
        &[0xb9, 0, 56],
        &[0xbf, 255, 255, 255, 255, 255, 255, 255, 255],
        &[0xff, 255, 255, 255, 255, 255, 255, 255, 255],
        &[0xc1],
        &[0xf8, 3, 1, 2, 3],
        &[0x80, 0x80],
        &[0x81],
    ] {
        assert!(rlp::exact(bad).is_err(), "{bad:x?}");
    }
    for bad in [&[0x82, 0, 1][..], &[0x00], &[0xc0], &[0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0]] {
        assert!(rlp::exact(bad).unwrap().uint().is_err(), "{bad:x?}");
    }
    assert!(rlp::exact(&[0xc2, 0x81, 0x05]).unwrap().list().is_err());
}

#[test]
fn calls_and_records_have_the_layout_of_the_contract() {
    let statement = Statement { root: Digest::of(b"root"), size: 0x0102, number: 0x0304 };
    let call = anchor_call(&statement);
    assert_eq!(call[..4], keccak256("anchor(uint64,bytes32,uint64)")[..4]);
    assert_eq!((call[35], call[34], call[99], call[98]), (0x04, 0x03, 0x02, 0x01));
    assert_eq!(call[36..68], *statement.root.as_bytes());
    assert!(call[4..34].iter().chain(&call[68..98]).all(|byte| *byte == 0));
    assert_eq!(anchors_call(&statement.root)[..4], keccak256("anchors(bytes32)")[..4]);
    let record = Record { timestamp: 1, block_number: 2, size: 3, number: 4 };
    let word = record.to_word();
    assert_eq!((word[31], word[23], word[15], word[7]), (1, 2, 3, 4));
    assert_eq!(Record::from_word(&word), record);
}

#[test]
fn chains_have_one_spelling() {
    for bad in [
        "eip155:",
        "eip155:0",
        "eip155:01",
        "eip155:+1",
        "eip155:-1",
        "EIP155:1",
        "eip155:18446744073709551616",
        "1",
        "eip155: 1",
    ] {
        assert!(bad.parse::<ChainRef>().is_err(), "{bad}");
    }
    let chain = |id| ChainRef::new(id).unwrap();
    assert_eq!("eip155:18446744073709551615".parse(), Ok(chain(u64::MAX)));
    assert!(chain(10) < chain(9) && chain(1) < chain(10));
}

proptest! {
    #[test]
    fn integers_as_alloy_spells_them(value: u64) {
        let (buffer, len) = rlp::encode_uint(value);
        let mut expected = Vec::new();
        value.encode(&mut expected);
        prop_assert_eq!(&buffer[..len], expected);
        prop_assert_eq!(rlp::exact(&buffer[..len]).unwrap().uint(), Ok(value));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), key in prop::collection::vec(any::<u8>(), 0..4)) {
        let _ = rlp::exact(&bytes).and_then(|item| item.list());
        let _ = BlockHeader::decode(&bytes);
        let _ = Transaction::decode(&bytes);
        let _ = trie::value(&evm::keccak256(&bytes), &key, &[&bytes[..]]);
    }

    #[test]
    fn random_tries(keys in prop::collection::btree_set(any::<[u8; 3]>(), 1..60), len in 1_usize..50, absent: [u8; 3]) {
        let items: Vec<_> = keys.iter().map(|key| (key.to_vec(), vec![key[2] | 1; len])).collect();
        for key in keys.iter().take(8) {
            let (root, nodes) = build(&items, key);
            let value = vec![key[2] | 1; len];
            prop_assert_eq!(trie::value(&hash(root), key, &nodes), Ok(value.as_slice()));
        }
        if !keys.contains(&absent) {
            let (root, nodes) = build(&items, &absent);
            prop_assert!(trie::value(&hash(root), &absent, &nodes).is_err());
        }
    }
}
