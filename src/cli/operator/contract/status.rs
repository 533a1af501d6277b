//! `sceau contract status`: who may do what in a registry, and how long the publisher's money lasts.

use std::path::Path;

use alloy::primitives::Address;
use alloy::primitives::utils::format_ether;
use clap::Args;
use serde_json::json;

use super::super::super::output::{Ending, Out};
use super::super::explained;
use super::site::Where;
use crate::chain::Chain;
use crate::ledger::targets::funds::Funds;

/// Show owner, publisher, its balance and for how long it lasts, and the newest batch
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    place: Where,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When chain or database cannot be asked.
pub(super) async fn run(command: Status, outer: Option<&Path>, out: &mut Out) -> anyhow::Result<Ending> {
    let site = command.place.find(outer).await?;
    let (target, roles) = (site.evm.target(), site.evm.roles().await?);
    let balance = match roles.publisher {
        Some(publisher) => Some(site.evm.balance(publisher).await?),
        None => None,
    };
    let (mut funds, mut underway) = (None, None);
    if let (Some(ledger), Some(publisher)) = (&site.ledger, roles.publisher) {
        let known = ledger.funds_of(target.chain_id, &publisher.into()).await.map_err(explained)?;
        // Its rate and prices are the database's, its balance the chain's.
        funds = known.map(|known| Funds { balance: balance.unwrap_or_default(), ..known });
        let left = ledger.underway(target.chain_id, &target.registry.into(), &publisher.into()).await;
        underway = Some(left.map_err(explained)?);
    }
    let runway = funds.as_ref().and_then(Funds::runway_days);
    if command.json {
        out.json(&json!({
            "chain_id": target.chain_id, "registry": target.registry,
            "owner": roles.owner, "pending_owner": roles.pending_owner,
            "publisher": roles.publisher, "pending_publisher": roles.pending_publisher,
            "first_number": roles.first_number, "last_number": roles.last_number,
            "balance_wei": balance.map(|wei| wei.to_string()),
            "wei_per_anchor": funds.as_ref().and_then(|funds| funds.per_anchor).map(|wei| wei.to_string()),
            "anchors_per_day": funds.as_ref().and_then(|funds| funds.per_day),
            "runway_days": runway, "underway": underway,
        }))?;
        return Ok(Ending::Done);
    }
    let named = |address: Option<Address>, none: &str| address.map_or_else(|| none.to_owned(), |address| address.to_string());
    out.line(format_args!("chain        {}\nregistry     {}", target.caip2(), target.registry))?;
    out.line(format_args!("owner        {}", roles.owner))?;
    if roles.pending_owner.is_some() {
        out.line(format_args!("  offered to {}", named(roles.pending_owner, "")))?;
    }
    out.line(format_args!("publisher    {}", named(roles.publisher, "none: revoked")))?;
    if roles.pending_publisher.is_some() {
        out.line(format_args!("  offered to {}", named(roles.pending_publisher, "")))?;
    }
    let last = match roles.last_number >= roles.first_number {
        true => roles.last_number.to_string(),
        false => format!("none; the first will be {}", roles.first_number),
    };
    out.line(format_args!("last batch   {last}"))?;
    if let Some(left) = underway {
        out.line(format_args!("not final    {left} of this publisher"))?;
    }
    if let Some(balance) = balance {
        out.line(format_args!("balance      {}", format_ether(balance)))?;
    }
    match (&funds, runway) {
        (Some(Funds { per_anchor: Some(cost), per_day: Some(rate), .. }), Some(days)) => out.line(format_args!(
            "runway       {days:.1} days, at {} an anchor and {rate:.1} anchors a day",
            format_ether(*cost)
        ))?,
        (Some(Funds { per_anchor: Some(cost), .. }), _) => {
            out.line(format_args!("runway       not known yet; an anchor costs {}", format_ether(*cost)))?;
        }
        _ => {}
    }
    Ok(Ending::Done)
}
