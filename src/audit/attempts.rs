//! Signed bytes: each attempt is what its columns say and does what its anchor asks.

use alloy::consensus::{SignableTransaction, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::{Address, B256, TxKind, keccak256};

use super::{Report, shown};
use crate::chain::registry;
use crate::ledger::audit::{AnchorRow, AttemptRow, TargetRow};

pub(super) fn check(target: &TargetRow, anchor: &AnchorRow, attempt: &AttemptRow, report: &mut Report) {
    if let Err(what) = matches(target, anchor, attempt) {
        report.add("attempts", format!("tx_hash={}", shown(&attempt.tx_hash)), what);
    }
}

fn matches(target: &TargetRow, anchor: &AnchorRow, attempt: &AttemptRow) -> Result<(), String> {
    if keccak256(&attempt.raw).as_slice() != attempt.tx_hash {
        return Err("its hash is not that of its bytes".into());
    }
    let envelope =
        TxEnvelope::decode_2718_exact(&attempt.raw).map_err(|error| format!("its bytes are no transaction: {error}"))?;
    let TxEnvelope::Eip1559(signed) = &envelope else { return Err("it is no EIP-1559 transaction".into()) };
    let tx = signed.tx();
    let registry = Address::try_from(target.registry.as_slice()).ok();
    if i64::try_from(tx.chain_id) != Ok(target.chain_id) || registry.map(TxKind::Call) != Some(tx.to) {
        return Err("it goes to another registry".into());
    }
    let (Some(root), Some(size)) = (&anchor.root, anchor.size) else { return Err("its batch is not sealed".into()) };
    let Ok(root) = B256::try_from(root.as_slice()) else { return Err("its batch has no root".into()) };
    if tx.input != registry::anchor_call(anchor.batch.unsigned_abs(), root, size.unsigned_abs()) {
        return Err(format!("it does not anchor batch {}", anchor.batch));
    }
    // One that was given up has the nonce of a publisher that was replaced; its anchor may have another by now.
    let (nonce, owner) = match &attempt.retired_signer {
        Some(signer) => (attempt.retired_nonce, Some(signer)),
        None => (anchor.nonce, anchor.signer.as_ref()),
    };
    if i64::try_from(tx.nonce).ok() != nonce {
        return Err(format!("its nonce is {}, that of its anchor is {}", tx.nonce, shown_nonce(nonce)));
    }
    let fees = (i128::try_from(tx.max_fee_per_gas), i128::try_from(tx.max_priority_fee_per_gas));
    if fees != (Ok(attempt.max_fee.into()), Ok(attempt.max_priority_fee.into())) {
        return Err("its fees are not those of its columns".into());
    }
    match signed.signature().recover_address_from_prehash(&tx.signature_hash()) {
        Ok(signer) if owner.is_some_and(|owner| owner == signer.as_slice()) => Ok(()),
        Ok(signer) => Err(format!("it is signed by {signer}, not by the signer of its lane")),
        Err(error) => Err(format!("its signature is wrong: {error}")),
    }
}

fn shown_nonce(nonce: Option<i64>) -> String {
    nonce.map_or_else(|| "none".into(), |nonce| nonce.to_string())
}
