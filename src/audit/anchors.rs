//! Anchors: how each came to its state, and whether the chain says the same.

use alloy::primitives::B256;
use futures_util::{StreamExt, TryStreamExt, stream};
use sceau_verifier::registry::Statement;
use sceau_verifier::{Anchor, ChainRef, Evidence};

use super::{Report, Result, Witness, attempts, lanes};
use crate::chain::ChainError;
use crate::ledger::Ledger;
use crate::ledger::audit::{AnchorPage, AnchorRow, HistoryRow, TargetRow};

/// Rows read at once.
const PAGE: i64 = 200;

/// Anchors asked of a chain at once.
const ASKED: usize = 16;

pub(super) async fn check(
    ledger: &Ledger,
    witnesses: &[Witness],
    report: &mut Report,
    tell: &mut (impl FnMut(&Report) + Send),
) -> Result<()> {
    for target in ledger.audit_targets().await? {
        let (missing, surplus) = ledger.audit_plan(&target).await?;
        if let Some(batch) = missing {
            report.add("anchors", key(batch, target.id), "a sealed batch has no anchor here");
        }
        if let Some(batch) = surplus {
            report.add(
                "anchors",
                key(batch, target.id),
                "a batch that is not sealed, comes before the registry's first, or after its retirement, has an anchor",
            );
        }
        let witness = lanes::witness(witnesses, &target);
        let mut after = 0;
        loop {
            let page = ledger.audit_anchors(target.id, after, PAGE).await?;
            let Some(last) = page.anchors.last() else { break };
            after = last.batch;
            check_rows(&target, &page, report);
            if let Some(witness) = witness {
                check_chain(ledger, witness, &target, &page, report).await?;
            }
            report.anchors += page.anchors.len() as u64;
            tell(report);
        }
    }
    Ok(())
}

fn key(batch: i64, target: i32) -> String {
    format!("batch={batch} target_id={target}")
}

/// Anchors, history and attempts among themselves.
fn check_rows(target: &TargetRow, page: &AnchorPage, report: &mut Report) {
    for anchor in &page.anchors {
        let history: Vec<&HistoryRow> = page.history.iter().filter(|row| row.batch == anchor.batch).collect();
        let mut stored = 0;
        for attempt in page.attempts.iter().filter(|attempt| attempt.batch == anchor.batch) {
            attempts::check(target, anchor, attempt, report);
            stored += 1;
        }
        check_history(anchor, &history, stored, report);
    }
}

fn rank(state: &str) -> u8 {
    match state {
        "planned" | "withdrawn" => 0,
        "sent" => 1,
        "included" => 2,
        _ => 3,
    }
}

/// The history is a walk through the states that ends where the anchor is, and tells of each attempt.
fn check_history(anchor: &AnchorRow, history: &[&HistoryRow], stored: usize, report: &mut Report) {
    let anchor_key = key(anchor.batch, anchor.target_id);
    let Some(first) = history.first().filter(|row| row.state == "planned") else {
        report.add("anchor_history", anchor_key, "the first state is not planned");
        return;
    };
    // `live`: signed since attempts were last given up together with their nonce.
    let (mut state, mut signed, mut live) = (first.state.as_str(), 0, 0);
    for row in &history[1..] {
        let legal = matches!(
            (state, row.state.as_str()),
            ("planned", "sent" | "included" | "withdrawn")
                | ("sent", "sent" | "included" | "planned" | "withdrawn")
                | ("included", "included" | "final" | "sent" | "planned" | "withdrawn")
                | ("withdrawn", "planned" | "sent")
        );
        if !legal {
            report.add("anchor_history", format!("id={} {anchor_key}", row.id), format!("{} follows {state}", row.state));
            return;
        }
        let one = usize::from(row.state == "sent" && !matches!(state, "included" | "withdrawn"));
        signed += one;
        live = if (state, row.state.as_str()) == ("sent", "planned") { 0 } else { live + one };
        state = &row.state;
    }
    if state != anchor.state {
        let what = format!("the anchor is {}, the history ends {state}", anchor.state);
        // Whoever is ahead has something the other lost.
        let table = if rank(&anchor.state) > rank(state) { "anchor_history" } else { "anchors" };
        report.add(table, anchor_key.clone(), what);
    }
    if stored != signed {
        let table = if stored < signed { "attempts" } else { "anchor_history" };
        report.add(table, anchor_key.clone(), format!("{stored} attempts are stored, the history tells of {signed}"));
    }
    if (anchor.nonce.is_some()) != (live > 0) {
        report.add("anchors", anchor_key, "its nonce and its history contradict each other");
    }
}

/// Every claim against the chain, several at a time.
async fn check_chain(
    ledger: &Ledger,
    witness: &Witness,
    target: &TargetRow,
    page: &AnchorPage,
    report: &mut Report,
) -> Result<()> {
    let claims = page.anchors.iter().filter(|anchor| rank(&anchor.state) >= 2);
    let checked: Vec<(&AnchorRow, Option<String>)> = stream::iter(claims)
        .map(|anchor| async move { Ok::<_, super::AuditError>((anchor, settled(ledger, witness, target, anchor).await?)) })
        .buffered(ASKED)
        .try_collect()
        .await?;
    for (anchor, what) in checked {
        if let Some(what) = what {
            report.add("anchors", key(anchor.batch, anchor.target_id), what);
        }
    }
    Ok(())
}

/// What is wrong with an anchor and stays wrong: the chain may have moved since the row was read, and the service with it.
async fn settled(ledger: &Ledger, witness: &Witness, target: &TargetRow, anchor: &AnchorRow) -> Result<Option<String>> {
    let mut anchor = anchor.clone();
    loop {
        let Some(what) = claim(witness, target, &anchor).await? else { return Ok(None) };
        let page = ledger.audit_anchors(target.id, anchor.batch - 1, 1).await?;
        match page.anchors.into_iter().next() {
            Some(now) if now.batch == anchor.batch && now != anchor => anchor = now,
            _ => return Ok(Some(what)),
        }
        if rank(&anchor.state) < 2 {
            return Ok(None);
        }
    }
}

/// What the chain does not say of an anchor's claim.
async fn claim(witness: &Witness, target: &TargetRow, anchor: &AnchorRow) -> std::result::Result<Option<String>, ChainError> {
    let wrong = |what: &str| Ok(Some(what.to_owned()));
    let hash = |bytes: &Option<Vec<u8>>| bytes.as_deref().and_then(|bytes| B256::try_from(bytes).ok());
    let natural = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
    let (Some(root), Some(size)) = (hash(&anchor.root), natural(anchor.size)) else { return wrong("its batch has no root") };
    let (Some(tx_hash), Some(block_hash)) = (hash(&anchor.tx_hash), hash(&anchor.block_hash)) else {
        return wrong("it has no transaction or block");
    };
    let (Some(tx_index), Some(block_number), Some(block_time)) =
        (natural(anchor.tx_index), natural(anchor.block_number), natural(anchor.block_time))
    else {
        return wrong("it has no place in its block");
    };

    let heads = witness.chain.heads().await?;
    let Some(record) = witness.chain.record(root).await? else { return wrong("the registry does not have the root") };
    if (record.number, record.size) != (anchor.batch.unsigned_abs(), size) {
        return Ok(Some(format!("the registry has the root as batch {} with {} leaves", record.number, record.size)));
    }
    let Some(found) = witness.chain.inclusion(tx_hash).await? else {
        return wrong("its transaction is not on the canonical chain");
    };
    if !found.success {
        return wrong("its transaction reverted");
    }
    if found.block.hash != block_hash || found.block.number != block_number {
        return Ok(Some(format!("its transaction is in block {} {}", found.block.number, found.block.hash)));
    }
    if (found.block.time, found.tx_index) != (block_time, tx_index) {
        return wrong("block time or index of its transaction are not those on the chain");
    }
    if record.block_number != block_number {
        return Ok(Some(format!("the registry recorded the root in block {}", record.block_number)));
    }
    if anchor.state != "final" {
        return Ok(None);
    }
    let height = match witness.depth {
        Some(depth) => heads.latest.number.checked_sub(depth),
        None => heads.finalized.map(|block| block.number),
    };
    if height.is_none_or(|height| height < block_number) {
        return wrong("its block is not final");
    }
    if !witness.evidence {
        return Ok(None);
    }
    let evidence = match serde_json::from_str::<Evidence>(anchor.evidence.as_deref().unwrap_or_default()) {
        Ok(evidence) => evidence,
        Err(error) => return Ok(Some(format!("its evidence cannot be read: {error}"))),
    };
    let (Some(chain), Ok(registry)) =
        (u64::try_from(target.chain_id).ok().and_then(ChainRef::new), <[u8; 20]>::try_from(target.registry.as_slice()))
    else {
        return wrong("its target is damaged");
    };
    let statement = Statement { root: root.0.into(), size, number: anchor.batch.unsigned_abs() };
    let shown = Anchor {
        chain,
        registry: registry.into(),
        tx_hash: tx_hash.0.into(),
        block_number,
        block_hash: block_hash.0.into(),
        block_time,
        evidence: None,
    };
    let failure = sceau_verifier::evidence::check(&shown, &evidence, &statement).err();
    Ok(failure.map(|failure| format!("its evidence does not verify: {failure}")))
}
