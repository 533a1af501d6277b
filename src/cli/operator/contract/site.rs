//! Which registry a command is about: a target of the settings, or one named in full.

use std::path::Path;

use alloy::primitives::Address;
use anyhow::Context;
use clap::Args;
use secrecy::SecretString;
use serde::Deserialize;

use super::super::super::output::usage;
use super::super::{Settings, ledger, part};
use crate::chain::deploy::registry_code_hash;
use crate::chain::evm::Evm;
use crate::chain::{Chain, Target};
use crate::config;
use crate::ledger::Ledger;

/// Most that is offered when nobody says so, gwei per gas.
const MAX_FEE_GWEI: u64 = 200;

/// Where the registry is.
#[derive(Debug, Args)]
pub(super) struct Where {
    #[command(flatten)]
    settings: Settings,

    /// JSON-RPC endpoint, for a registry that is in no settings; then no database is asked
    #[arg(long, value_name = "URL", requires = "chain_id", requires = "registry")]
    rpc_url: Option<String>,

    /// Chain of the registry; of the settings' targets, if there are several
    #[arg(long, value_name = "ID")]
    chain_id: Option<u64>,

    /// Address of the registry; of the settings' targets, if there are several
    #[arg(long, value_name = "0xADDRESS")]
    registry: Option<Address>,
}

/// A registry that was found and is genuine.
pub(super) struct Site {
    /// The chain, asked about this registry.
    pub(super) evm: Evm,
    /// A block so far below the head is final; without it the tag decides.
    pub(super) depth: Option<u64>,
    /// Most that is offered, gwei per gas.
    pub(super) max_fee_gwei: u64,
    /// The database of the service that anchors there, if it is known.
    pub(super) ledger: Option<Ledger>,
    /// Where the settings have the publisher's key.
    pub(super) signer: Option<config::Signer>,
}

#[derive(Deserialize)]
struct Settled {
    database_url: Option<SecretString>,
    #[serde(default)]
    targets: Vec<config::Target>,
}

impl Where {
    /// Finds the registry and makes sure that it is one.
    pub(super) async fn find(&self, outer: Option<&Path>) -> anyhow::Result<Site> {
        let site = match (&self.rpc_url, self.chain_id, self.registry) {
            (Some(url), Some(chain_id), Some(registry)) => Site {
                evm: Evm::connect(url, Target { chain_id, registry })?,
                depth: None,
                max_fee_gwei: MAX_FEE_GWEI,
                ledger: None,
                signer: None,
            },
            _ => self.settled(outer).await?,
        };
        let registry = site.evm.target().registry;
        let found = site.evm.check().await?;
        anyhow::ensure!(found == registry_code_hash(), "the contract at {registry} is not the registry of this version");
        Ok(site)
    }

    async fn settled(&self, outer: Option<&Path>) -> anyhow::Result<Site> {
        let file = self.settings.file(outer);
        let settled: Settled = part(file.as_deref())?;
        let mut fitting = Vec::new();
        for target in settled.targets {
            let registry: Address = target.registry.parse().with_context(|| format!("targets.registry {:?}", target.registry))?;
            let fits = self.chain_id.is_none_or(|id| id == target.chain_id) && self.registry.is_none_or(|at| at == registry);
            if fits {
                fitting.push((registry, target));
            }
        }
        let [(registry, target)] = <[_; 1]>::try_from(fitting).map_err(|fitting| match fitting.len() {
            0 => usage("the settings have no such target: give --config, or --rpc-url with --chain-id and --registry"),
            _ => usage("the settings have several targets: name one by --chain-id and --registry"),
        })?;
        Ok(Site {
            evm: first_sound(&target, &Target { chain_id: target.chain_id, registry }).await?,
            depth: target.depth,
            max_fee_gwei: target.max_fee_gwei,
            ledger: settled.database_url.as_ref().map(ledger).transpose()?,
            signer: Some(target.signer),
        })
    }
}

/// The first endpoint that serves the registry; where none does, the first, which then says why.
async fn first_sound(target: &config::Target, goal: &Target) -> anyhow::Result<Evm> {
    let urls = target.endpoints()?;
    let connect = |url: &String| Evm::connect_within(url, goal.clone(), target.timeout());
    for url in urls.iter().filter(|_| urls.len() > 1) {
        let evm = connect(url)?;
        if evm.check().await.is_ok() {
            return Ok(evm);
        }
    }
    Ok(connect(&urls[0])?)
}
