//! A chain of one block with one account and one transaction, made by hand: enough for evidence that verifies.

use sceau::ledger::anchors::Place;
use sceau_verifier::evm::{Bytes, keccak256};
use sceau_verifier::receipt::TransactionEvidence;
use sceau_verifier::registry::{Record, Statement, account_key, anchor_call, storage_key};
use sceau_verifier::{Address, Evidence};

fn string(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [byte] if *byte < 0x80 => vec![*byte],
        _ => headed(0x80, bytes),
    }
}

fn uint(value: u64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    string(&bytes[value.leading_zeros() as usize / 8..])
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    headed(0xc0, &items.concat())
}

fn headed(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = if payload.len() < 56 {
        vec![kind + payload.len() as u8]
    } else {
        let length = payload.len().to_be_bytes();
        let length = &length[payload.len().leading_zeros() as usize / 8..];
        [&[kind + 55 + length.len() as u8], length].concat()
    };
    bytes.extend(payload);
    bytes
}

/// The only node of a trie with one value.
fn leaf(key: &[u8], value: &[u8]) -> Vec<u8> {
    list(&[string(&[&[0x20], key].concat()), string(value)])
}

/// Where the statement is anchored, and the evidence for it.
pub fn anchored(
    statement: &Statement,
    chain_id: u64,
    registry: Address,
    block_number: u64,
    block_time: u64,
) -> (Place, Evidence) {
    let word = Record { timestamp: block_time, block_number, size: statement.size, number: statement.number }.to_word();
    let word = &word[word.iter().position(|byte| *byte != 0).unwrap()..];
    let storage = leaf(keccak256(storage_key(&statement.root).as_ref()).as_ref(), &string(word));
    let account = list(&[uint(1), uint(0), string(keccak256(&storage).as_ref()), string(&[0xcc; 32])]);
    let state = leaf(account_key(&registry).as_ref(), &account);
    let raw = [
        vec![2],
        list(&[
            uint(chain_id),
            uint(0),
            uint(1),
            uint(2),
            uint(100_000),
            string(registry.as_ref()),
            uint(0),
            string(&anchor_call(statement)),
            list(&[]),
            uint(1),
            string(&[0x11; 32]),
            string(&[0x22; 32]),
        ]),
    ]
    .concat();
    let transactions = leaf(&uint(0), &raw);
    let mut fields = vec![string(&[0xee; 32]); 16];
    fields[3] = string(keccak256(&state).as_ref());
    fields[4] = string(keccak256(&transactions).as_ref());
    fields[8] = uint(block_number);
    fields[11] = uint(block_time);
    let header = list(&fields);
    let place =
        Place { tx_hash: keccak256(&raw).into(), tx_index: 0, block_number, block_hash: keccak256(&header).into(), block_time };
    let evidence = Evidence {
        header: Bytes(header),
        account_proof: vec![Bytes(state)],
        storage_proof: vec![Bytes(storage)],
        transaction: TransactionEvidence { index: 0, raw: Bytes(raw), proof: vec![Bytes(transactions)] },
    };
    (place, evidence)
}
