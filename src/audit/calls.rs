//! Operators' transactions: each is what its columns say, signed by its lane's signer.

use alloy::consensus::{SignableTransaction, Transaction, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::keccak256;

use super::{Report, Result, shown};
use crate::ledger::Ledger;
use crate::ledger::audit::CallRow;

pub(super) async fn check(ledger: &Ledger, report: &mut Report) -> Result<()> {
    for call in ledger.audit_calls().await? {
        if let Err(what) = matches(&call) {
            report.add("calls", format!("lane_id={} nonce={}", call.lane_id, call.nonce), what);
        }
    }
    Ok(())
}

fn matches(call: &CallRow) -> std::result::Result<(), String> {
    if keccak256(&call.raw).as_slice() != call.tx_hash {
        return Err("its hash is not that of its bytes".into());
    }
    let envelope = TxEnvelope::decode_2718_exact(&call.raw).map_err(|error| format!("its bytes are no transaction: {error}"))?;
    let TxEnvelope::Eip1559(signed) = &envelope else { return Err("it is no EIP-1559 transaction".into()) };
    let tx = signed.tx();
    if i64::try_from(tx.chain_id) != Ok(call.chain_id) {
        return Err("it is for another chain".into());
    }
    if i64::try_from(tx.nonce()) != Ok(call.nonce) {
        return Err(format!("the nonce in its bytes is {}", tx.nonce()));
    }
    match signed.signature().recover_address_from_prehash(&tx.signature_hash()) {
        Ok(signer) if call.signer == signer.as_slice() => Ok(()),
        Ok(signer) => Err(format!("it is signed by {signer}, not by {}", shown(&call.signer))),
        Err(error) => Err(format!("its signature is wrong: {error}")),
    }
}
