//! Every nonce that the chain counts must be explained: by this database, or by a transaction that was found.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::Address;

use super::{Plan, Result, Source};
use crate::chain::Chain;
use crate::ledger::Ledger;

/// Obstacles named at most, of one signer.
const NAMED: usize = 8;

/// Adds an obstacle for each nonce that nothing explains.
pub(super) async fn explain(ledger: &Ledger, sources: &[Source], plan: &mut Plan) -> Result<()> {
    let mut found: BTreeMap<(u64, [u8; 20]), BTreeSet<u64>> = BTreeMap::new();
    for one in &plan.forgotten {
        found.entry((one.chain_id, one.signer)).or_default().insert(one.nonce);
    }
    for lane in ledger.audit_lanes().await? {
        if let (Ok(chain), Ok(signer)) = (u64::try_from(lane.chain_id), <[u8; 20]>::try_from(lane.signer.as_slice())) {
            found.entry((chain, signer)).or_default();
        }
    }
    for ((chain_id, signer), nonces) in found {
        let Some(source) = sources.iter().find(|source| source.chain.target().chain_id == chain_id) else { continue };
        let address = Address::from(signer);
        let mined = source.chain.nonce(address).await?;
        let waiting = source.chain.waiting(address).await?;
        if waiting > mined {
            plan.obstacles.push(format!(
                "{} transactions of {address} wait for a block on {}: wait for them, they may be of the lost life",
                waiting - mined,
                source.chain.target().caip2()
            ));
        }
        // Of a signer unknown here, what came before the first anchor (the deployment, say) is nobody's business.
        let Some(start) = ledger.next_nonce(chain_id, &signer).await?.or(nonces.first().copied()) else { continue };
        let missing: Vec<String> =
            (start..mined).filter(|nonce| !nonces.contains(nonce)).take(NAMED).map(|nonce| nonce.to_string()).collect();
        if !missing.is_empty() {
            plan.obstacles.push(format!(
                "{address} used nonces on {} that no anchor explains: {}; if that was your own doing, see \"Nonce\" in docs/operations.md, \
                 else its key is stolen",
                source.chain.target().caip2(),
                missing.join(", ")
            ));
        }
    }
    Ok(())
}
