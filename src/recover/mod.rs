//! What a database restored from a backup has to learn from the registries before the service may go on.
//!
//! Three things can be missing: batches that were sealed and anchored after the backup was made (*lost*: their numbers are
//! used, their proofs are gone), transactions that were signed after it (*forgotten*: the chain still has their bytes), and
//! the place of proofs that the backup has in a batch that was sealed with more than these. Nothing is guessed: what cannot
//! be explained by the chain is an obstacle, and nothing is changed then.

mod nonces;

use std::collections::BTreeMap;

use alloy::consensus::{SignableTransaction, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::{Address, TxKind};

use crate::chain::evm::Evm;
use crate::chain::evm::archive::Anchored;
use crate::chain::{Chain, ChainError};
use crate::ledger::anchors::attempts::Attempt;
use crate::ledger::anchors::recover::{Forgotten, LostBatch};
use crate::ledger::audit::TargetRow;
use crate::ledger::batches::Batch;
use crate::ledger::targets::TargetId;
use crate::ledger::{Ledger, LedgerError};

/// A configured target.
#[derive(Debug)]
pub struct Source {
    /// Its chain.
    pub chain: Evm,
    /// A block this far below the head is final; `None`: the chain's `finalized` tag decides.
    pub depth: Option<u64>,
}

/// Why it could not be found out. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The database could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A chain could not be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// Result of looking.
type Result<T> = std::result::Result<T, RecoverError>;

/// What is to be done.
#[derive(Debug, Default)]
pub struct Plan {
    /// Batches to be recorded as lost, ascending, without a hole.
    pub lost: Vec<LostBatch>,
    /// Transactions to be stored, in order of their nonces.
    pub forgotten: Vec<Forgotten>,
    /// Proofs that will wait for another batch than they were accepted for.
    pub moved: u64,
    /// What is in the way: each must be removed by hand or by waiting before anything is done.
    pub obstacles: Vec<String>,
}

impl Plan {
    /// Whether the database has all that the chains have.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.forgotten.is_empty() && self.obstacles.is_empty()
    }
}

/// One registry, looked at.
struct Seen<'a> {
    source: &'a Source,
    target: TargetId,
    events: Vec<Anchored>,
    final_height: Option<u64>,
}

/// Compares the database with every registry. `from_block` is where events are looked for from; by default behind the newest
/// anchor this database knows as final.
///
/// # Errors
/// When database or chains cannot be asked.
pub async fn plan(ledger: &Ledger, sources: &[Source], from_block: Option<u64>) -> Result<Plan> {
    let mut plan = Plan::default();
    let known = ledger.audit_targets().await?;
    let mut seen = Vec::new();
    for source in sources {
        if let Some(one) = look(ledger, source, &known, from_block, &mut plan.obstacles).await? {
            seen.push(one);
        }
    }
    find_lost(ledger, &seen, &mut plan).await?;
    for one in &seen {
        find_forgotten(ledger, one, &mut plan).await?;
    }
    plan.forgotten.sort_by_key(|one| (one.chain_id, one.signer, one.nonce));
    nonces::explain(ledger, sources, &mut plan).await?;
    if let Some(first) = plan.lost.first() {
        plan.moved = ledger.proofs_from(first.number).await?;
        if let (Some(signed), _) = ledger.signed_from(first.number).await? {
            plan.obstacles.push(format!(
                "batch {signed} was signed here after the chain had gone on with another: put it back to planned first"
            ));
        }
    }
    Ok(plan)
}

/// The events of a registry that may be new to us.
async fn look<'a>(
    ledger: &Ledger,
    source: &'a Source,
    known: &[TargetRow],
    from_block: Option<u64>,
    obstacles: &mut Vec<String>,
) -> Result<Option<Seen<'a>>> {
    let (chain, name) = (&source.chain, source.chain.target());
    let mut found = known.iter().filter(|row| i64::try_from(name.chain_id) == Ok(row.chain_id));
    let Some(row) = found.find(|row| name.registry.as_slice() == row.registry) else {
        obstacles.push(format!(
            "the registry {} on {} was never used by this database: start the service once, it only reads until this is done",
            name.registry,
            name.caip2()
        ));
        return Ok(None);
    };
    let target = TargetId(row.id);
    let from = match from_block {
        Some(from) => from,
        None => ledger.newest_final_height(target).await?.unwrap_or(0),
    };
    let heads = chain.heads().await?;
    let last = chain.last_number().await?;
    let events = chain.anchored(from, heads.latest.number).await?;
    if last >= row.first_number.unsigned_abs() && events.last().is_none_or(|newest| newest.number < last) {
        obstacles.push(format!(
            "the registry {} on {} holds batches up to {last}, but no event of it was found from block {from} on: give --from-block",
            name.registry,
            name.caip2()
        ));
    }
    for event in &events {
        let record = chain.record(event.root).await?;
        if record.is_none_or(|record| (record.number, record.size) != (event.number, event.size)) {
            return Err(ChainError::Garbage(format!(
                "events and records of {} disagree on batch {}",
                name.caip2(),
                event.number
            ))
            .into());
        }
    }
    Ok(Some(Seen { source, target, events, final_height: chain.final_height(source.depth).await? }))
}

/// Root and size of the batch of that number, where this database has one.
async fn here(ledger: &Ledger, number: u64) -> Result<Option<([u8; 32], u64)>> {
    Ok(match ledger.batch(number).await? {
        Some(Batch::Sealed(batch)) => Some((batch.root, batch.size)),
        Some(Batch::Lost { root, size, .. }) => Some((root, size)),
        _ => None,
    })
}

/// From the first number on that a registry has for another root than ours, everything is lost up to the newest.
async fn find_lost(ledger: &Ledger, seen: &[Seen<'_>], plan: &mut Plan) -> Result<()> {
    let mut held: BTreeMap<u64, LostBatch> = BTreeMap::new();
    let mut first = None;
    for event in seen.iter().flat_map(|one| &one.events) {
        let batch = LostBatch { number: event.number, root: event.root.into(), size: event.size };
        if *held.entry(event.number).or_insert(batch) != batch {
            plan.obstacles.push(format!("two registries have different batches {}: this needs a person", event.number));
        }
        if here(ledger, event.number).await? != Some((batch.root, batch.size)) {
            first = Some(first.map_or(event.number, |first: u64| first.min(event.number)));
        }
    }
    let (Some(first), Some(last)) = (first, held.keys().next_back().copied()) else { return Ok(()) };
    for number in first..=last {
        match held.get(&number) {
            Some(batch) => plan.lost.push(*batch),
            None => plan.obstacles.push(format!("no event of batch {number} was found: give --from-block")),
        }
    }
    Ok(())
}

/// Transactions on the chain that anchor what is ours, or was, and that no row tells of.
async fn find_forgotten(ledger: &Ledger, seen: &Seen<'_>, plan: &mut Plan) -> Result<()> {
    let chain = &seen.source.chain;
    let first_lost = plan.lost.first().map(|batch| batch.number);
    for event in &seen.events {
        let lost = first_lost.is_some_and(|first| event.number >= first);
        let stored = if lost { Vec::new() } else { ledger.attempts(seen.target, event.number).await? };
        if stored.iter().any(|attempt| attempt.tx_hash == event.tx_hash.0) {
            continue;
        }
        let placed =
            ledger.anchors(event.number).await?.into_iter().any(|anchor| anchor.target == seen.target && anchor.place.is_some());
        if placed && !lost {
            // Adopted from the registry already: its place is known, whoever signed it.
            continue;
        }
        if seen.final_height.is_none_or(|height| height < event.block_number) {
            plan.obstacles.push(format!(
                "batch {} stands in block {} of {}, which is not final yet: wait",
                event.number,
                event.block_number,
                chain.target().caip2()
            ));
            continue;
        }
        if let Some(one) = read(chain, seen.target, event).await? {
            plan.forgotten.push(one);
        }
    }
    Ok(())
}

/// The transaction behind an event, if it is one as this service signs them. Another way into the registry (a wallet
/// contract) uses no nonce of ours.
async fn read(chain: &Evm, target: TargetId, event: &Anchored) -> Result<Option<Forgotten>> {
    let raw = chain.signed_bytes(event.tx_hash).await?;
    let Ok(TxEnvelope::Eip1559(signed)) = TxEnvelope::decode_2718_exact(&raw) else { return Ok(None) };
    let tx = signed.tx();
    let name = chain.target();
    if tx.to != TxKind::Call(name.registry) || tx.chain_id != name.chain_id || tx.input != Evm::call_of(event) {
        return Ok(None);
    }
    let Ok(signer) = signed.signature().recover_address_from_prehash(&tx.signature_hash()) else { return Ok(None) };
    let (Ok(max_fee), Ok(max_priority_fee)) = (u64::try_from(tx.max_fee_per_gas), u64::try_from(tx.max_priority_fee_per_gas))
    else {
        return Ok(None);
    };
    let attempt = Attempt {
        tx_hash: event.tx_hash.into(),
        max_fee,
        max_priority_fee,
        raw,
        signed_at: time::OffsetDateTime::UNIX_EPOCH,
        sent_at: None,
    };
    let signer: Address = signer;
    Ok(Some(Forgotten { target, chain_id: name.chain_id, batch: event.number, signer: signer.into(), nonce: tx.nonce, attempt }))
}
