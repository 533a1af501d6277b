//! Commands that change who owns a registry and who anchors in it.

use std::path::Path;
use std::time::{Duration, Instant};

use alloy::primitives::Address;
use clap::Args;

use super::super::super::output::{Ending, Out, say, usage};
use super::super::explained;
use super::super::key::{Key, NewKey};
use super::perform::{Bar, Sending, perform};
use super::site::{Site, Where};
use crate::chain::Chain;
use crate::chain::administer::Act;
use crate::chain::signer::Signer;
use crate::signing;

const SET: &str = "\
Examples:
  sceau contract set-publisher --publisher 0x7099…79C8 --keystore owner --password-file p --dry-run
  sceau contract set-publisher --publisher 0x7099…79C8 --keystore owner --password-file p
  sceau contract set-publisher --withdraw --keystore owner --password-file p

The owner proposes; nothing changes until the new publisher accepts: with `sceau contract
accept-publisher`, or here with its own key. The procedure stands in docs/operations.md.";

/// Propose another publisher, with the owner's key: the first of two steps
#[derive(Debug, Args)]
#[command(after_help = SET)]
pub(super) struct SetPublisher {
    /// Who is to anchor
    #[arg(long, value_name = "0xADDRESS")]
    publisher: Option<Address>,

    /// Take an open offer back instead
    #[arg(long, conflicts_with_all = ["publisher", "new_key"])]
    withdraw: bool,

    #[command(flatten)]
    place: Where,

    #[command(flatten)]
    sending: Sending,

    #[command(flatten)]
    key: Key,

    #[command(flatten)]
    new: NewKey,
}

impl SetPublisher {
    pub(super) async fn run(self, outer: Option<&Path>, out: &mut Out) -> anyhow::Result<Ending> {
        let (owner, new) = (self.key.open()?, self.new.open()?);
        let account = new.as_ref().map(crate::chain::signer::Wallet::account);
        let to = match (self.publisher, account, self.withdraw) {
            (None, None, true) => None,
            (Some(named), Some(account), _) if named != account => {
                return Err(usage(format!("the new publisher's key is that of {account}, not of {named}")));
            }
            (named, account, _) => {
                let to = named.or(account);
                Some(to.ok_or_else(|| usage("say who is to anchor: --publisher or the new publisher's key; or --withdraw"))?)
            }
        };
        let site = self.place.find(outer).await?;
        let roles = site.evm.roles().await?;
        if to == Some(roles.owner) {
            say("owner and publisher would be the same account: a stolen key could then not be replaced");
        }
        if to.is_some() && roles.pending_publisher == to {
            anyhow::ensure!(
                new.is_some(),
                "{} is proposed already: it takes over with `sceau contract accept-publisher`",
                to.unwrap_or_default()
            );
        } else {
            perform(&site, &Act::ProposePublisher(to), &owner, &self.sending, out).await?;
        }
        match new {
            Some(new) if self.sending.dry_run => {
                say(format_args!("then {} would take over, with its own transaction", new.account()));
            }
            Some(new) => accept(&site, &new, &self.sending, out).await?,
            None => {}
        }
        Ok(Ending::Done)
    }
}

/// Take over as publisher, with the new key: the second of two steps
///
/// Waits until nothing of the present publisher is on its way any more: what it signed would be refused afterwards. The
/// key is that of the settings, if none is given.
#[derive(Debug, Args)]
pub(super) struct AcceptPublisher {
    #[command(flatten)]
    place: Where,

    #[command(flatten)]
    sending: Sending,

    #[command(flatten)]
    key: Key,
}

impl AcceptPublisher {
    pub(super) async fn run(self, outer: Option<&Path>, out: &mut Out) -> anyhow::Result<Ending> {
        let given = self.key.is_given().then(|| self.key.open()).transpose()?;
        let site = self.place.find(outer).await?;
        match (given, &site.signer) {
            (Some(wallet), _) => accept(&site, &wallet, &self.sending, out).await?,
            (None, Some(settled)) => {
                accept(&site, &*signing::Key::find(settled)?.open().await?, &self.sending, out).await?;
            }
            (None, None) => return Err(usage("give --key-file, --key-env, or --keystore with --password-file")),
        }
        Ok(Ending::Done)
    }
}

async fn accept(site: &Site, signer: &dyn Signer, sending: &Sending, out: &mut Out) -> anyhow::Result<()> {
    let act = Act::AcceptPublisher;
    let target = site.evm.target();
    let roles = site.evm.roles().await?;
    // Before waiting for others: it may make no sense at all.
    act.check(&roles, signer.address(), target.registry).map_err(anyhow::Error::msg)?;
    match (&site.ledger, roles.publisher) {
        (Some(ledger), Some(present)) => {
            let (start, mut bar) = (Instant::now(), None);
            loop {
                let left = ledger.underway(target.chain_id, &target.registry.into(), &present.into()).await;
                let left = left.map_err(explained)?;
                if left == 0 {
                    break;
                }
                let told = format!("{left} anchors that {present} signed are not final yet");
                anyhow::ensure!(
                    !sending.dry_run && start.elapsed() < Duration::from_secs(sending.final_timeout),
                    "{told}: the instances must run with the new key, so that the old one signs no more; try again then"
                );
                match &bar {
                    None => bar = Some(Bar::new(&format!("{told}: waiting"))),
                    Some(bar) => bar.tell(format!("{told}: waiting")),
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            if let Some(bar) = bar {
                bar.end();
            }
        }
        (None, Some(_)) => say("no database is given: not checked whether anchors of the present publisher are on their way"),
        (_, None) => {}
    }
    perform(site, &act, signer, sending, out).await
}

/// Stop the publisher at once, with the owner's key: for a stolen key
///
/// Nobody anchors until another publisher takes over. Batches wait meanwhile.
#[derive(Debug, Args)]
pub(super) struct RevokePublisher {
    #[command(flatten)]
    place: Where,

    #[command(flatten)]
    sending: Sending,

    #[command(flatten)]
    key: Key,
}

impl RevokePublisher {
    pub(super) async fn run(self, outer: Option<&Path>, out: &mut Out) -> anyhow::Result<Ending> {
        alone(&self.place, &self.key, &self.sending, Act::RevokePublisher, outer, out).await
    }
}

/// Offer ownership to another account, with the owner's key: the first of two steps
#[derive(Debug, Args)]
pub(super) struct TransferOwnership {
    /// Who is to own the registry
    #[arg(long, value_name = "0xADDRESS", required_unless_present = "withdraw")]
    owner: Option<Address>,

    /// Take an open offer back instead
    #[arg(long, conflicts_with = "owner")]
    withdraw: bool,

    #[command(flatten)]
    place: Where,

    #[command(flatten)]
    sending: Sending,

    #[command(flatten)]
    key: Key,
}

impl TransferOwnership {
    pub(super) async fn run(self, outer: Option<&Path>, out: &mut Out) -> anyhow::Result<Ending> {
        alone(&self.place, &self.key, &self.sending, Act::TransferOwnership(self.owner), outer, out).await
    }
}

/// Take over ownership, with the new owner's key: the second of two steps
#[derive(Debug, Args)]
pub(super) struct AcceptOwnership {
    #[command(flatten)]
    place: Where,

    #[command(flatten)]
    sending: Sending,

    #[command(flatten)]
    key: Key,
}

impl AcceptOwnership {
    pub(super) async fn run(self, outer: Option<&Path>, out: &mut Out) -> anyhow::Result<Ending> {
        alone(&self.place, &self.key, &self.sending, Act::AcceptOwnership, outer, out).await
    }
}

/// One act with the one key that is given.
async fn alone(
    place: &Where,
    key: &Key,
    sending: &Sending,
    act: Act,
    outer: Option<&Path>,
    out: &mut Out,
) -> anyhow::Result<Ending> {
    let wallet = key.open()?;
    perform(&place.find(outer).await?, &act, &wallet, sending, out).await?;
    Ok(Ending::Done)
}
