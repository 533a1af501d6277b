//! Captures the evidence of an anchor: everything from the block's hash down to the registry's record.
//!
//! A node is asked for the block and for one EIP-1186 proof; the rest is computed. Each part must hash to what the part
//! above it says, and the whole is put before the verifier before it is returned.

use alloy::consensus::{Transaction, TxEnvelope};
use alloy::eips::eip2718::{Decodable2718, Encodable2718};
use alloy::primitives::{B256, Bytes, U64, keccak256};
use alloy::rlp::Encodable;
use alloy::rpc::types::{EIP1186AccountProofResponse, Header};
use alloy::sol_types::SolCall;
use alloy_trie::proof::ProofRetainer;
use alloy_trie::{HashBuilder, Nibbles};
use sceau_verifier as verifier;
use sceau_verifier::receipt::{Anchor, Evidence, TransactionEvidence};
use serde::Deserialize;
use serde_json::{Value, json};

use super::evm::Rpc;
use super::registry::AnchorRegistry;
use super::{ChainError, Inclusion, Target};

/// A block with its transactions as the node spells them.
#[derive(Deserialize)]
struct FullBlock {
    #[serde(flatten)]
    header: Header,
    transactions: Vec<Value>,
}

/// Captures and checks. `slot` is the storage key of `root`.
///
/// # Errors
/// [`ChainError::Garbage`] when the node's parts do not fit together, when the block is not served any more (reorged
/// away), or when it holds a transaction type that can be neither re-encoded nor fetched raw.
pub(super) async fn capture(
    rpc: &Rpc,
    target: &Target,
    root: B256,
    slot: B256,
    inclusion: &Inclusion,
) -> Result<Evidence, ChainError> {
    let hash = inclusion.block.hash;
    let block: Option<FullBlock> = rpc.call("eth_getBlockByHash", json!([hash, true])).await?;
    let block = block.ok_or_else(|| garbage(format!("block {hash} is not served any more")))?;
    let header = alloy::rlp::encode(&block.header.inner);
    if keccak256(&header) != hash {
        return Err(garbage(format!("the header of block {hash} does not have that hash when encoded")));
    }

    let transactions = encode_all(rpc, &block.transactions).await?;
    let index = usize::try_from(inclusion.tx_index).ok().filter(|i| *i < transactions.len());
    let index = index.ok_or_else(|| garbage(format!("block {hash} has no transaction {}", inclusion.tx_index)))?;
    let (transactions_root, proof) = trie_proof(&transactions, index);
    if transactions_root != block.header.inner.transactions_root {
        return Err(garbage(format!("the transactions of block {hash} do not have its transactions root")));
    }

    let state = state_proof(rpc, target, slot, inclusion).await?;
    let storage_proof = match state.storage_proof.as_slice() {
        [one] => one.proof.clone(),
        other => return Err(garbage(format!("eth_getProof answered {} storage proofs for one key", other.len()))),
    };
    let raw = transactions[index].clone();
    let evidence = Evidence {
        header: header.into(),
        account_proof: state.account_proof.into_iter().map(bytes).collect(),
        storage_proof: storage_proof.into_iter().map(bytes).collect(),
        transaction: TransactionEvidence {
            index: inclusion.tx_index,
            raw: raw.clone().into(),
            proof: proof.into_iter().map(bytes).collect(),
        },
    };
    verify(&evidence, target, root, inclusion, &raw)?;
    Ok(evidence)
}

/// Puts the evidence before the verifier as a receipt's reader would.
fn verify(evidence: &Evidence, target: &Target, root: B256, inclusion: &Inclusion, raw: &[u8]) -> Result<(), ChainError> {
    // Number and size are those of the call; the verifier compares them with the record and the root with both.
    let envelope = TxEnvelope::decode_2718_exact(raw).map_err(|e| garbage(format!("the anchor transaction: {e}")))?;
    let call = AnchorRegistry::anchorCall::abi_decode_validate(envelope.input())
        .map_err(|e| garbage(format!("the transaction is no anchor call: {e}")))?;
    let statement = verifier::registry::Statement { root: root.0.into(), size: call.size, number: call.number };
    let anchor = Anchor {
        chain: verifier::ChainRef::new(target.chain_id).ok_or_else(|| garbage("chain id 0".into()))?,
        registry: target.registry.0.0.into(),
        tx_hash: inclusion.tx_hash.0.into(),
        block_number: inclusion.block.number,
        block_hash: inclusion.block.hash.0.into(),
        block_time: inclusion.block.time,
        evidence: None,
    };
    verifier::evidence::check(&anchor, evidence, &statement)
        .map_err(|failure| garbage(format!("the evidence does not verify: {failure}")))
}

/// Account and storage proof at the block. Asked by hash (EIP-1898); nodes that take no hash there are asked by number,
/// and the verifier's check against the header's state root tells whether it was the same block.
async fn state_proof(
    rpc: &Rpc,
    target: &Target,
    slot: B256,
    inclusion: &Inclusion,
) -> Result<EIP1186AccountProofResponse, ChainError> {
    let ask = |block: Value| rpc.call("eth_getProof", json!([target.registry, [slot], block]));
    match ask(json!({ "blockHash": inclusion.block.hash })).await {
        Err(ChainError::Refused { .. }) => ask(json!(U64::from(inclusion.block.number))).await,
        answer => answer,
    }
}

async fn encode_all(rpc: &Rpc, transactions: &[Value]) -> Result<Vec<Vec<u8>>, ChainError> {
    let mut encoded = Vec::with_capacity(transactions.len());
    for transaction in transactions {
        let hash = transaction.get("hash").and_then(Value::as_str).and_then(|h| h.parse::<B256>().ok());
        let hash = hash.ok_or_else(|| garbage("a transaction without hash".into()))?;
        let raw = match encode(transaction) {
            Some(raw) => raw,
            None => fetch_raw(rpc, transaction, hash).await?,
        };
        if keccak256(&raw) != hash {
            return Err(garbage(format!("transaction {hash} does not have that hash when encoded")));
        }
        encoded.push(raw);
    }
    Ok(encoded)
}

/// EIP-2718 bytes of a transaction in a node's JSON, as they are in the block (blobs are not: EIP-4844). `None` for
/// types that this program does not know.
fn encode(transaction: &Value) -> Option<Vec<u8>> {
    TxEnvelope::deserialize(transaction).ok().map(|envelope| envelope.encoded_2718())
}

/// Chains of their own (rollups' deposits and the like) have transaction types of their own: those bytes are taken
/// from the node, if it hands them out. The block's transactions root keeps it honest.
async fn fetch_raw(rpc: &Rpc, transaction: &Value, hash: B256) -> Result<Vec<u8>, ChainError> {
    let unknown = |why: &str| {
        let kind = transaction.get("type").and_then(Value::as_str).unwrap_or("unknown");
        garbage(format!("transaction {hash} of type {kind} cannot be encoded here and {why}"))
    };
    match rpc.call::<Option<Bytes>>("eth_getRawTransactionByHash", json!([hash])).await {
        Ok(Some(raw)) => Ok(raw.to_vec()),
        Ok(None) => Err(unknown("the node does not know its bytes")),
        Err(ChainError::Refused { message, .. }) => Err(unknown(&format!("the node refuses its bytes: {message}"))),
        Err(error) => Err(error),
    }
}

/// Root of the trie rlp(i) → values[i] (Yellow Paper §4.4.3) and the nodes from it to `values[index]`.
fn trie_proof(values: &[Vec<u8>], index: usize) -> (B256, Vec<Bytes>) {
    let key = |i: usize| {
        let mut rlp = Vec::new();
        i.encode(&mut rlp);
        Nibbles::unpack(rlp)
    };
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(vec![key(index)]));
    let mut leaves: Vec<_> = values.iter().enumerate().map(|(i, value)| (key(i), value)).collect();
    // The builder wants leaves in key order, and rlp(0) = 0x80 lies between rlp(127) and rlp(128).
    leaves.sort_unstable_by_key(|leaf| leaf.0);
    for (key, value) in leaves {
        builder.add_leaf(key, value);
    }
    let root = builder.root();
    let nodes = builder.take_proof_nodes().into_nodes_sorted();
    (root, nodes.into_iter().map(|(_, node)| node).collect())
}

fn bytes(bytes: Bytes) -> verifier::Bytes {
    bytes.to_vec().into()
}

fn garbage(what: String) -> ChainError {
    ChainError::Garbage(what)
}

#[cfg(test)]
mod tests {
    use alloy::consensus::{SignableTransaction, TxEip4844, TxEip4844Variant};
    use alloy::primitives::{Address, Signature, U256};
    use alloy_trie::proof::verify_proof;
    use alloy_trie::root::ordered_trie_root_encoded;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_blob_transaction_is_encoded_as_it_stands_in_the_block() {
        let transaction = TxEip4844 {
            chain_id: 1,
            nonce: 2,
            gas_limit: 21_000,
            max_fee_per_gas: 7,
            max_priority_fee_per_gas: 1,
            to: Address::repeat_byte(3),
            value: U256::from(4),
            blob_versioned_hashes: vec![B256::repeat_byte(1)],
            max_fee_per_blob_gas: 5,
            ..Default::default()
        };
        let variant: TxEip4844Variant = TxEip4844Variant::TxEip4844(transaction);
        let envelope = TxEnvelope::Eip4844(variant.into_signed(Signature::test_signature()));
        let json = serde_json::to_value(&envelope).expect("JSON");
        assert_eq!(json["type"], "0x3");
        let raw = encode(&json).expect("a known type");
        assert_eq!(raw, envelope.encoded_2718());
        assert_eq!(json["hash"].as_str(), Some(keccak256(raw).to_string().as_str()));
        assert_eq!(encode(&json!({ "type": "0x7e" })), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_transaction_trie_proves_each_of_its_values(
            values in prop::collection::vec(prop::collection::vec(any::<u8>(), 40..90), 1..300),
            pick: prop::sample::Index,
        ) {
            let index = pick.index(values.len());
            let (root, proof) = trie_proof(&values, index);
            prop_assert_eq!(root, ordered_trie_root_encoded(&values));
            let key = Nibbles::unpack(alloy::rlp::encode(index));
            prop_assert!(verify_proof(root, key, Some(values[index].clone()), &proof).is_ok());
            let nodes: Vec<_> = proof.into_iter().map(bytes).collect();
            let found = verifier::trie::value(&root.0.into(), &alloy::rlp::encode(index), &nodes);
            prop_assert_eq!(found.ok(), Some(values[index].as_slice()));
        }
    }
}
