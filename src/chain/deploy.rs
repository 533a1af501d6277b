//! Puts a new `AnchorRegistry` on a chain.
//!
//! Every call makes another registry. Whether one is there already is the caller's to know.

use std::sync::LazyLock;
use std::time::Duration;

use alloy::consensus::TxEip1559;
use alloy::network::TxSigner;
use alloy::primitives::{Address, B256, Bytes, Signature, TxKind, U64, U256, keccak256};
use alloy::sol_types::SolValue;
use serde::Deserialize;
use serde_json::json;

use super::evm::Evm;
use super::signer::{SignError, Wallet};
use super::{Block, Chain, ChainError, Sent, Target, fees};

/// Most gas a deployment may be given; it needs about 900,000.
const GAS_CEILING: u64 = 3_000_000;

/// The compiled contract, as in `contracts/artifact/AnchorRegistry.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    bytecode: Bytes,
    deployed_bytecode: Bytes,
}

static ARTIFACT: LazyLock<Artifact> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../contracts/artifact/AnchorRegistry.json"))
        .expect("the artifact in the source tree is valid")
});

/// Hash of the runtime code of every genuine `AnchorRegistry`: the contract has no immutables, so it is one and the same.
#[must_use]
pub fn registry_code_hash() -> B256 {
    keccak256(&ARTIFACT.deployed_bytecode)
}

/// What a registry is made with, and what may be spent on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The chain it is meant for.
    pub chain_id: u64,
    /// Who names publishers.
    pub owner: Address,
    /// Who anchors.
    pub publisher: Address,
    /// Number of the first batch, at least 1.
    pub first_number: u64,
    /// Most that is offered, wei per gas.
    pub fee_ceiling: u128,
    /// How long to wait for the transaction to be mined.
    pub patience: Duration,
}

/// A registry that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployment {
    /// Its address.
    pub address: Address,
    /// The transaction that made it.
    pub tx_hash: B256,
    /// The block that holds it; not final yet.
    pub block: Block,
    /// Hash of its code: [`registry_code_hash`].
    pub code_hash: B256,
}

/// Why there is no registry, or none that is known of.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeployError {
    /// The chain could not be asked, or refused (a constructor that reverts shows here, in words).
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The signer failed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The node did not take the transaction.
    #[error("the node did not take the deployment: {0:?}")]
    NotTaken(Sent),
    /// The transaction was mined and failed.
    #[error("the deployment {0} failed on chain")]
    Reverted(B256),
    /// Sent, but not mined in time: it may still be. Look at `address` before trying again.
    #[error("the deployment {tx_hash} is not mined yet; it would make {address}")]
    StillWaiting {
        /// The transaction.
        tx_hash: B256,
        /// Where the registry will be.
        address: Address,
    },
    /// What is at the address is not the contract that was sent.
    #[error("the code at {address} is not the registry's")]
    OtherCode {
        /// The address.
        address: Address,
    },
}

/// Deploys a registry with `wallet`'s key (which gets no rights in it) through the endpoint at `url`, and waits until it
/// is mined.
///
/// # Errors
/// See [`DeployError`]. After [`DeployError::StillWaiting`] and after [`ChainError::Unreachable`] the contract may
/// exist.
pub async fn deploy<S: TxSigner<Signature> + Send + Sync>(
    url: &str,
    wallet: &Wallet<S>,
    plan: &Plan,
) -> Result<Deployment, DeployError> {
    let sender = wallet.account();
    let origin = Evm::connect(url, Target { chain_id: plan.chain_id, registry: Address::ZERO })?;
    let found = origin.chain_id().await?;
    if found != plan.chain_id {
        return Err(ChainError::WrongChain { expected: plan.chain_id, found }.into());
    }
    let nonce = origin.nonce(sender).await?;
    // EIP-161 address of a contract made by a transaction: a function of sender and nonce alone.
    let address = sender.create(nonce);

    let mut input = ARTIFACT.bytecode.to_vec();
    input.extend((plan.owner, plan.publisher, U256::from(plan.first_number)).abi_encode_params());
    let input = Bytes::from(input);
    // Nothing else of this sender waits, so here a simulation tells the truth; it also tells why a constructor reverts.
    let call = json!([{ "from": sender, "input": input }]);
    let estimate = origin.rpc().call::<U64>("eth_estimateGas", call).await?.to::<u64>();
    let fees = fees::first(origin.fees().await?, plan.fee_ceiling);
    let transaction = TxEip1559 {
        chain_id: plan.chain_id,
        nonce,
        gas_limit: estimate.saturating_add(estimate / 5).min(GAS_CEILING),
        max_fee_per_gas: fees.max_fee,
        max_priority_fee_per_gas: fees.max_priority,
        to: TxKind::Create,
        value: U256::ZERO,
        access_list: Default::default(),
        input,
    };
    let signed = wallet.sign_eip1559(&transaction).await?;
    match origin.send(&signed.raw).await? {
        Sent::Accepted | Sent::AlreadyKnown => {}
        refused => return Err(DeployError::NotTaken(refused)),
    }

    let block = mined(&origin, signed.hash, address, plan.patience).await?;
    let registry = Evm::connect(url, Target { chain_id: plan.chain_id, registry: address })?;
    let code_hash = registry.check().await?;
    if code_hash != registry_code_hash() {
        return Err(DeployError::OtherCode { address });
    }
    Ok(Deployment { address, tx_hash: signed.hash, block, code_hash })
}

/// Waits until the transaction is mined; polls, since receipts trail blocks even on development chains.
async fn mined(chain: &Evm, tx_hash: B256, address: Address, patience: Duration) -> Result<Block, DeployError> {
    let waiting = async {
        let mut pause = Duration::from_millis(50);
        loop {
            match chain.inclusion(tx_hash).await {
                Ok(Some(inclusion)) if inclusion.success => return Ok(inclusion.block),
                Ok(Some(_)) => return Err(DeployError::Reverted(tx_hash)),
                // Sent already: a node that hiccups now must not hide that.
                Ok(None) | Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    };
    tokio::time::timeout(patience, waiting).await.unwrap_or(Err(DeployError::StillWaiting { tx_hash, address }))
}
