//! One act on a registry: shown, signed, stored where the database knows the key, sent, and seen final.

use std::time::Duration;

use alloy::consensus::TxEip1559;
use alloy::primitives::utils::{format_ether, format_units};
use alloy::primitives::{Address, B256};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::super::super::output::{Out, on_terminal, say};
use super::super::explained;
use super::site::Site;
use crate::chain::administer::{self, Act, AdministerError};
use crate::chain::signer::{SignedAnchor, Signer};
use crate::chain::{Chain, Sent};
use crate::ledger::anchors::calls::Call;
use crate::ledger::targets::LaneId;

/// How a transaction is sent.
#[derive(Debug, Args)]
pub(super) struct Sending {
    /// Only show what would be sent
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Offer no more than this, gwei per gas [default: that of the settings, or 200]
    #[arg(long, value_name = "GWEI")]
    max_fee_gwei: Option<u64>,

    /// Wait no longer than so many seconds for the block
    #[arg(long, value_name = "SECONDS", default_value_t = 180)]
    timeout: u64,

    /// Do not wait until the block is final
    #[arg(long)]
    no_finality: bool,

    /// Wait no longer than so many seconds until the block is final, or what has to be final first
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub(super) final_timeout: u64,

    /// Print one JSON object a transaction
    #[arg(long)]
    json: bool,
}

/// Does `act` with `signer`'s key, and checks that the registry is as it should be afterwards.
///
/// # Errors
/// When it makes no sense, fails, or is not known to be done.
pub(super) async fn perform(site: &Site, act: &Act, signer: &dyn Signer, sending: &Sending, out: &mut Out) -> anyhow::Result<()> {
    let (evm, from) = (&site.evm, signer.address());
    let registry = evm.target().registry;
    if !sending.dry_run {
        finish_earlier(site, from, sending).await?;
    }
    act.check(&evm.roles().await?, from, registry).map_err(anyhow::Error::msg)?;
    let (lane, nonce) = nonce(site, act, from, sending.dry_run).await?;
    let ceiling = u128::from(sending.max_fee_gwei.unwrap_or(site.max_fee_gwei)) * 1_000_000_000;
    let draft = administer::draft(evm, act, from, nonce, ceiling).await.map_err(|error| told(error, from))?;
    if sending.dry_run {
        return show(act, from, &draft, sending, out);
    }

    let signed = signer.sign_eip1559(&draft).await?;
    if let (Some(ledger), Some(lane)) = (&site.ledger, lane) {
        let call = Call { nonce, tx_hash: signed.hash.into(), raw: signed.raw.to_vec() };
        ledger.store_call(lane, &call, &act.to_string()).await.map_err(explained)?;
    }
    let bar = Bar::new(&format!("{act}: {}", signed.hash));
    let included = administer::deliver(evm, &signed, Duration::from_secs(sending.timeout)).await;
    let included = included.map_err(|error| told(error, from))?;
    let (mut block, mut is_final) = (included.block, false);
    if !sending.no_finality {
        let patience = Duration::from_secs(sending.final_timeout);
        let last = administer::finality(evm, &signed, site.depth, patience, |block, end| bar.at(block, end)).await;
        block = last.map_err(|error| told(error, from))?.block;
        is_final = true;
    }
    bar.end();
    let roles = evm.roles().await?;
    anyhow::ensure!(
        act.is_done(&roles, from),
        "the transaction {} is in block {}, but somebody changed the registry since: look at `sceau contract status`",
        signed.hash,
        block.number
    );
    if sending.json {
        out.json(&json!({
            "act": act.to_string(), "chain_id": evm.target().chain_id, "registry": registry, "from": from,
            "tx_hash": signed.hash, "block_number": block.number, "block_hash": block.hash, "final": is_final,
            "owner": roles.owner, "pending_owner": roles.pending_owner,
            "publisher": roles.publisher, "pending_publisher": roles.pending_publisher,
        }))?;
    } else {
        let end = if is_final { "final" } else { "not final yet" };
        out.line(format_args!("done         {act}\ntransaction  {}\nblock        {} ({end})", signed.hash, block.number))?;
    }
    Ok(out.flush()?)
}

/// The nonce to use. Where the database hands out the nonces of this key, it is taken from there, or the service would
/// find a transaction that is not its own. A key that takes over gets its nonces from there from now on: whatever node the
/// service asks first, it does not begin below.
async fn nonce(site: &Site, act: &Act, from: Address, dry_run: bool) -> anyhow::Result<(Option<LaneId>, u64)> {
    let mined = site.evm.nonce(from).await?;
    let Some(ledger) = &site.ledger else { return Ok((None, mined)) };
    let chain_id = site.evm.target().chain_id;
    let known = match act {
        Act::AcceptPublisher if !dry_run => Some(ledger.lane(chain_id, &from.into(), mined).await.map_err(explained)?),
        _ => ledger.known_lane(chain_id, &from.into()).await.map_err(explained)?,
    };
    match known {
        None => Ok((None, mined)),
        Some((_, next)) if mined > next => Err(anyhow::anyhow!(
            "{from} has {mined} transactions on the chain but only {next} are known here: somebody else uses the key"
        )),
        Some((lane, next)) => Ok((Some(lane), next)),
    }
}

/// What an earlier command stored and did not see in a block is sent again first: its nonce is taken.
async fn finish_earlier(site: &Site, from: Address, sending: &Sending) -> anyhow::Result<()> {
    let Some(ledger) = &site.ledger else { return Ok(()) };
    let mined = site.evm.nonce(from).await?;
    for call in ledger.calls_from(site.evm.target().chain_id, &from.into(), mined).await.map_err(explained)? {
        let signed = SignedAnchor { hash: B256::from(call.tx_hash), raw: call.raw.into() };
        say(format_args!("an earlier command's transaction {} is not in a block yet: sending it again", signed.hash));
        match administer::deliver(&site.evm, &signed, Duration::from_secs(sending.timeout)).await {
            // It had its nonce; what it was to do is looked at next.
            Ok(_) | Err(AdministerError::Reverted(_)) => {}
            Err(error) => return Err(told(error, from)),
        }
    }
    Ok(())
}

fn show(act: &Act, from: Address, draft: &TxEip1559, sending: &Sending, out: &mut Out) -> anyhow::Result<()> {
    let (to, most) = (draft.to.to().copied().unwrap_or_default(), administer::most(draft));
    if sending.json {
        out.json(&json!({
            "act": act.to_string(), "chain_id": draft.chain_id, "from": from, "to": to, "nonce": draft.nonce,
            "data": draft.input, "gas_limit": draft.gas_limit, "max_fee_per_gas": draft.max_fee_per_gas.to_string(),
            "most_wei": most.to_string(), "sent": false,
        }))?;
    } else {
        let fee = format_units(draft.max_fee_per_gas, "gwei").unwrap_or_default();
        out.line(format_args!(
            "would        {act}\nregistry     {to}\nchain        eip155:{}\nfrom         {from}\nnonce        {}\ncalldata     {}\n\
             gas          at most {}\nfee          at most {fee} gwei per gas, {} in all\n\nNothing was sent.",
            draft.chain_id,
            draft.nonce,
            draft.input,
            draft.gas_limit,
            format_ether(most)
        ))?;
    }
    Ok(out.flush()?)
}

fn told(error: AdministerError, from: Address) -> anyhow::Error {
    match error {
        AdministerError::Poor { has, needs, .. } => anyhow::anyhow!(
            "{from} has {} and may need {} (in the chain's coin): send it funds, or lower --max-fee-gwei",
            format_ether(has),
            format_ether(needs)
        ),
        AdministerError::NotTaken(Sent::InsufficientFunds) => {
            anyhow::anyhow!("{from} cannot pay: send it funds, or lower --max-fee-gwei")
        }
        AdministerError::NotTaken(Sent::Underpriced) => anyhow::anyhow!(
            "the node wants a higher fee, or another transaction of {from} waits: raise --max-fee-gwei, or try again later"
        ),
        AdministerError::NotTaken(Sent::Rejected(said)) => anyhow::anyhow!("the node did not take the transaction: {said}"),
        error => error.into(),
    }
}

/// How far a transaction is, on standard error: a bar on a terminal, a line elsewhere.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(what: &str) -> Self {
        let target = if on_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{spinner} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        if !on_terminal() {
            say(what);
        }
        Self(bar)
    }

    /// Says something else.
    pub(super) fn tell(&self, what: String) {
        self.0.set_message(what);
    }

    /// In `block`, and the newest final one is `end`.
    fn at(&self, block: u64, end: Option<u64>) {
        if self.0.length().is_none() {
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len} blocks until block {msg} is final, {elapsed}");
            self.0.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            // Counted from where finality is now.
            self.0.set_length(block.saturating_sub(end.unwrap_or(0)));
            if !on_terminal() {
                say(format_args!("in block {block}; waiting until it is final"));
            }
        }
        self.0.set_message(block.to_string());
        let left = block.saturating_sub(end.unwrap_or(0));
        self.0.set_position(self.0.length().unwrap_or(left).saturating_sub(left));
    }

    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}
