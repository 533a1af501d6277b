//! A block with real account, storage and transaction tries, built by `alloy-trie`, not by the code under test.

use alloy_primitives::{Address as AlloyAddress, B256, U256, keccak256};
use alloy_rlp::{Encodable, Header};
use alloy_trie::proof::ProofRetainer;
use alloy_trie::{HashBuilder, Nibbles};
use sceau_verifier::evidence::{Evidence, TransactionEvidence};
use sceau_verifier::registry::{Record, Statement, anchor_call, storage_key};
use sceau_verifier::{Address, Anchor, Bytes, ChainRef};

/// Root of a trie over `items`, and the listed nodes that prove `target`.
pub fn trie(items: &[(Vec<u8>, Vec<u8>)], target: &[u8]) -> (B256, Vec<Bytes>) {
    let mut items: Vec<_> = items.iter().map(|(key, value)| (Nibbles::unpack(key), value)).collect();
    items.sort();
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(vec![Nibbles::unpack(target)]));
    for (key, value) in items {
        builder.add_leaf(key, value);
    }
    let root = builder.root();
    let nodes = builder.take_proof_nodes().into_nodes_sorted();
    // The retainer also keeps nodes that stand inside their parent; eth_getProof does not list those.
    let listed = nodes.into_iter().enumerate().filter(|(at, (_, node))| *at == 0 || node.len() >= 32);
    (root, listed.map(|(_, (_, node))| Bytes(node.to_vec())).collect())
}

pub fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    Header { list: true, payload_length: items.iter().map(Vec::len).sum() }.encode(&mut out);
    out.extend(items.concat());
    out
}

pub fn rlp(item: &dyn Encodable) -> Vec<u8> {
    let mut out = Vec::new();
    item.encode(&mut out);
    out
}

/// A block that anchors one batch. Every field that a forger could bend can be bent.
#[derive(Clone)]
pub struct Block {
    pub chain_id: u64,
    pub registry: [u8; 20],
    pub number: u64,
    pub time: u64,
    /// Position of the anchoring transaction among `transactions`.
    pub index: usize,
    pub transactions: usize,
    /// The position that the transaction proof is made for, when it is another.
    pub proven_index: Option<usize>,
    /// Other accounts in the state, and other words in the registry's storage.
    pub neighbours: u64,
    /// What the registry recorded; `None` for the truth.
    pub record: Option<Record>,
    /// The twelve fields of the transaction may be changed here.
    pub bend_transaction: fn(&mut Vec<Vec<u8>>),
    /// The type byte of the transaction.
    pub kind: u8,
    /// The fields of the header may be changed here.
    pub bend_header: fn(&mut Vec<Vec<u8>>),
    /// Fields of the header: 16 London, 20 Cancun, 21 Prague, more for forks to come.
    pub header_fields: usize,
}

impl Default for Block {
    fn default() -> Self {
        Self {
            chain_id: 31337,
            registry: [0x5a; 20],
            number: 12,
            time: 1_790_000_000,
            index: 3,
            transactions: 40,
            proven_index: None,
            neighbours: 60,
            record: None,
            bend_transaction: |_| {},
            kind: 2,
            bend_header: |_| {},
            header_fields: 21,
        }
    }
}

impl Block {
    pub fn anchor(&self, statement: &Statement) -> Anchor {
        let truth = Record { timestamp: self.time, block_number: self.number, size: statement.size, number: statement.number };
        let word = U256::from_be_bytes(self.record.unwrap_or(truth).to_word());
        let slot = keccak256(storage_key(&statement.root));
        let mut storage: Vec<_> =
            (0..self.neighbours).map(|n| (keccak256(n.to_be_bytes()).to_vec(), rlp(&U256::from(n + 1)))).collect();
        storage.push((slot.to_vec(), rlp(&word)));
        let (storage_root, storage_proof) = trie(&storage, slot.as_slice());

        let account = |nonce: u64, storage_root: B256| {
            list(&[rlp(&nonce), rlp(&(U256::from(nonce) << 60_usize)), rlp(&storage_root), rlp(&keccak256(b"code"))])
        };
        let holder = keccak256(self.registry);
        let mut accounts: Vec<_> =
            (0..self.neighbours).map(|n| (keccak256(n.to_le_bytes()).to_vec(), account(n, keccak256(b"empty")))).collect();
        accounts.push((holder.to_vec(), account(1, storage_root)));
        let (state_root, account_proof) = trie(&accounts, holder.as_slice());

        let raw = self.transaction(statement);
        let transactions: Vec<_> = (0..self.transactions)
            .map(|n| (rlp(&n), if n == self.index { raw.clone() } else { format!("{n:0100}").into_bytes() }))
            .collect();
        let proven = self.proven_index.unwrap_or(self.index);
        let (transactions_root, proof) = trie(&transactions, &rlp(&proven));

        let header = self.header(state_root, transactions_root);
        Anchor {
            chain: ChainRef::new(self.chain_id).unwrap(),
            registry: Address::from(self.registry),
            tx_hash: keccak256(&raw).0.into(),
            block_number: self.number,
            block_hash: keccak256(&header).0.into(),
            block_time: self.time,
            evidence: Some(Evidence {
                header: Bytes(header),
                account_proof,
                storage_proof,
                transaction: TransactionEvidence { index: proven as u64, raw: Bytes(raw), proof },
            }),
        }
    }

    fn transaction(&self, statement: &Statement) -> Vec<u8> {
        let mut fields = vec![
            rlp(&self.chain_id),
            rlp(&7_u64),
            rlp(&1_000_000_000_u64),
            rlp(&30_000_000_000_u64),
            rlp(&80_000_u64),
            rlp(&AlloyAddress::from(self.registry)),
            rlp(&0_u64),
            rlp(&anchor_call(statement).as_slice()),
            vec![0xc0],
            rlp(&1_u64),
            rlp(&U256::from_be_bytes(keccak256(b"r").0)),
            rlp(&U256::from_be_bytes(keccak256(b"s").0)),
        ];
        (self.bend_transaction)(&mut fields);
        [vec![self.kind], list(&fields)].concat()
    }

    fn header(&self, state_root: B256, transactions_root: B256) -> Vec<u8> {
        let hash = |name: &str| rlp(&keccak256(name));
        let mut fields = vec![
            hash("parent"),
            hash("ommers"),
            rlp(&AlloyAddress::repeat_byte(0xfe)),
            rlp(&state_root),
            rlp(&transactions_root),
            hash("receipts"),
            rlp(&[0_u8; 256].as_slice()),
            rlp(&0_u64),
            rlp(&self.number),
            rlp(&30_000_000_u64),
            rlp(&1_234_567_u64),
            rlp(&self.time),
            rlp(&b"extra".as_slice()),
            hash("mix"),
            rlp(&[0_u8; 8].as_slice()),
            rlp(&1_000_000_000_u64),
            hash("withdrawals"),
            rlp(&0_u64),
            rlp(&0_u64),
            hash("beacon"),
            hash("requests"),
        ];
        fields.resize_with(self.header_fields, || hash("a fork to come"));
        (self.bend_header)(&mut fields);
        list(&fields)
    }
}
