//! The evidence of an anchor: from a block hash to the registry's record and to the transaction (SPEC.md §4, steps 8 to 17).

use serde::{Deserialize, Serialize};

use super::block::BlockHeader;
use super::registry::{self, Record, Statement};
use super::rlp::{self, RlpError};
use super::transaction::Transaction;
use super::{Bytes, Hash32, keccak256, trie};
use crate::receipt::Anchor;
use crate::verdict::{Code, Failure};

/// Everything that leads from the hash of a final block to the record of a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// RLP of the block header.
    pub header: Bytes,
    /// Trie nodes from the state root to the registry's account (EIP-1186).
    pub account_proof: Vec<Bytes>,
    /// Trie nodes from the registry's storage root to the record (EIP-1186).
    pub storage_proof: Vec<Bytes>,
    /// The anchoring transaction.
    pub transaction: TransactionEvidence,
}

/// The anchoring transaction and its place in the block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionEvidence {
    /// Position in the block.
    pub index: u64,
    /// EIP-2718 bytes.
    pub raw: Bytes,
    /// Trie nodes from the transactions root to the transaction.
    pub proof: Vec<Bytes>,
}

/// Steps 8 to 17: checks that `evidence` proves everything `anchor` says about `statement`, given its block hash.
/// Whether that block is on the chain is not decided here.
///
/// # Errors
/// The first step that does not pass.
pub fn check(anchor: &Anchor, evidence: &Evidence, statement: &Statement) -> Result<(), Failure> {
    if keccak256(evidence.header.as_ref()) != anchor.block_hash {
        return Err(Failure::new(Code::BlockHeaderHash, "the block header does not have the anchor's block hash"));
    }
    let header = BlockHeader::decode(evidence.header.as_ref()).map_err(|error| because(Code::BlockHeaderMalformed, &error))?;
    if (header.number, header.timestamp) != (anchor.block_number, anchor.block_time) {
        let detail = format!("the block header says number {} and time {}", header.number, header.timestamp);
        return Err(Failure::new(Code::BlockHeaderMismatch, &detail));
    }
    check_record(anchor, evidence, statement, &header)?;
    check_transaction(anchor, &evidence.transaction, statement, &header)
}

fn check_record(anchor: &Anchor, evidence: &Evidence, statement: &Statement, header: &BlockHeader) -> Result<(), Failure> {
    let key = registry::account_key(&anchor.registry);
    let account = trie::value(&header.state_root, key.as_ref(), &evidence.account_proof)
        .map_err(|error| because(Code::AccountNotProven, &error))?;
    let storage_root = storage_root(account).map_err(|error| because(Code::AccountNotProven, &error))?;

    let key = keccak256(registry::storage_key(&statement.root).as_ref());
    let word = trie::value(&storage_root, key.as_ref(), &evidence.storage_proof)
        .map_err(|error| because(Code::RecordNotProven, &error))?;
    let word = rlp::exact(word).and_then(|item| item.word()).map_err(|error| because(Code::RecordNotProven, &error))?;
    let found = Record::from_word(&word);
    if found != expected_record(anchor, statement) {
        return Err(Failure::new(Code::RecordMismatch, &describe(&found)));
    }
    Ok(())
}

fn check_transaction(
    anchor: &Anchor,
    evidence: &TransactionEvidence,
    statement: &Statement,
    header: &BlockHeader,
) -> Result<(), Failure> {
    let raw = evidence.raw.as_ref();
    if keccak256(raw) != anchor.tx_hash {
        return Err(Failure::new(Code::TransactionHash, "the transaction does not have the anchor's transaction hash"));
    }
    let (key, len) = rlp::encode_uint(evidence.index);
    let proven = trie::value(&header.transactions_root, &key[..len], &evidence.proof)
        .map_err(|error| because(Code::TransactionNotProven, &error))?;
    if proven != raw {
        return Err(Failure::new(Code::TransactionNotProven, "the block holds another transaction at this index"));
    }
    let transaction = Transaction::decode(raw).map_err(|error| because(Code::TransactionMalformed, &error))?;
    for (ok, what) in [
        (transaction.chain_id == anchor.chain.id(), "the transaction is for another chain"),
        (transaction.to == anchor.registry, "the transaction calls another contract"),
        (!transaction.has_value, "the transaction sends value"),
        (transaction.input == registry::anchor_call(statement), "the transaction does not anchor this batch"),
    ] {
        if !ok {
            return Err(Failure::new(Code::TransactionMismatch, what));
        }
    }
    Ok(())
}

/// The record that an anchor and its batch claim.
#[must_use]
pub const fn expected_record(anchor: &Anchor, statement: &Statement) -> Record {
    Record { timestamp: anchor.block_time, block_number: anchor.block_number, size: statement.size, number: statement.number }
}

pub(crate) fn describe(record: &Record) -> String {
    let Record { timestamp, block_number, size, number } = record;
    format!("the registry recorded time {timestamp}, block {block_number}, size {size}, batch {number}")
}

/// The storage root in an account's RLP: nonce, balance, storage root, code hash.
fn storage_root(account: &[u8]) -> Result<Hash32, RlpError> {
    let items = rlp::exact(account)?.list()?;
    let [nonce, balance, storage_root, code_hash] = items.as_slice() else {
        return Err(RlpError("an account without 4 fields"));
    };
    nonce.uint()?;
    balance.word()?;
    code_hash.array::<32>()?;
    Ok(storage_root.array::<32>()?.into())
}

fn because(code: Code, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(code, &error.to_string())
}
