//! Targets and lanes: the registries are those pinned, and every nonce is accounted for.

use super::{Report, Result, Witness, shown};
use crate::ledger::Ledger;
use crate::ledger::audit::TargetRow;
use crate::ledger::batches::Batch;

/// The witness for a target.
pub(super) fn witness<'a>(witnesses: &'a [Witness], target: &TargetRow) -> Option<&'a Witness> {
    witnesses.iter().find(|witness| {
        let known = witness.chain.target();
        i64::try_from(known.chain_id) == Ok(target.chain_id) && known.registry.as_slice() == target.registry
    })
}

pub(super) async fn check_targets(ledger: &Ledger, witnesses: &[Witness], report: &mut Report) -> Result<()> {
    let targets = ledger.audit_targets().await?;
    for witness in witnesses {
        let known = witness.chain.target();
        let found = witness.chain.chain_id().await?;
        if found != known.chain_id {
            report.add("targets", format!("chain_id={}", known.chain_id), format!("the endpoint serves chain {found}"));
        }
        let pinned = |target: &TargetRow| super::lanes::witness(std::slice::from_ref(witness), target).is_some();
        if !targets.iter().any(pinned) {
            let key = format!("chain_id={} registry={}", known.chain_id, shown(known.registry.as_slice()));
            report.add("targets", key, "the configured registry was never pinned");
        }
    }
    for target in &targets {
        let key = format!("id={}", target.id);
        let Some(witness) = witness(witnesses, target) else {
            report.unasked.push(format!("eip155:{} {}", target.chain_id, shown(&target.registry)));
            continue;
        };
        let chain = &witness.chain;
        if i64::try_from(chain.first_number().await?) != Ok(target.first_number) {
            report.add("targets", key.clone(), "first_number is not that of the registry");
        }
        if chain.code_hash().await?.is_none_or(|hash| hash.as_slice() != target.code_hash) {
            report.add("targets", key.clone(), "code_hash is not that of the code at the registry's address");
        }
        // Asked before the batches: both only grow.
        let last = chain.last_number().await?;
        let sealed = ledger.batch(last).await?;
        let holds = last < target.first_number.unsigned_abs() || matches!(sealed, Some(Batch::Sealed(_) | Batch::Lost { .. }));
        if !holds {
            report.add(
                "batches",
                format!("number={last}"),
                "the registry holds this batch, which is not sealed here: an old database, or another publisher",
            );
        }
    }
    Ok(())
}

/// A lane hands out each nonce once and leaves none out.
pub(super) async fn check(ledger: &Ledger, witnesses: &[Witness], report: &mut Report) -> Result<()> {
    for lane in ledger.audit_lanes().await? {
        let key = format!("id={}", lane.id);
        if lane.elsewhere {
            report.add(
                "lanes",
                key.clone(),
                format!("it is of chain {}, but an anchor on another chain has its nonce", lane.chain_id),
            );
        }
        if let Some((lowest, highest)) = lane.range
            && (highest + 1 != lane.next_nonce || lowest + lane.used != lane.next_nonce)
        {
            report.add(
                "lanes",
                key.clone(),
                format!(
                    "next_nonce is {}, but the anchors have {} nonces from {lowest} to {highest}",
                    lane.next_nonce, lane.used
                ),
            );
        }
        let same = |witness: &&Witness| i64::try_from(witness.chain.target().chain_id) == Ok(lane.chain_id);
        if let (Some(witness), Ok(signer)) = (witnesses.iter().find(same), <[u8; 20]>::try_from(lane.signer.as_slice())) {
            // A key that is no publisher any more may be used for anything: it may have been replaced for being stolen.
            if !publishes(witnesses, lane.chain_id, signer).await? {
                continue;
            }
            let mined = witness.chain.nonce(signer.into()).await?;
            // Read again: the service may have gone on meanwhile.
            let next = ledger.audit_lanes().await?.iter().find(|other| other.id == lane.id).map(|lane| lane.next_nonce);
            if next.is_some_and(|next| i64::try_from(mined).is_ok_and(|mined| mined > next)) {
                report.add(
                    "lanes",
                    key,
                    format!("{mined} transactions of this signer are on the chain: somebody else uses its key"),
                );
            }
        }
    }
    Ok(())
}

/// Whether a signer may anchor in any registry that is asked on this chain.
async fn publishes(witnesses: &[Witness], chain_id: i64, signer: [u8; 20]) -> Result<bool> {
    for witness in witnesses.iter().filter(|witness| i64::try_from(witness.chain.target().chain_id) == Ok(chain_id)) {
        if witness.chain.publisher().await? == Some(signer.into()) {
            return Ok(true);
        }
    }
    Ok(false)
}
