//! `sceau contract deploy`: a new registry.

use std::time::Duration;

use alloy::primitives::Address;
use clap::Args;
use serde_json::json;

use super::super::super::output::{Ending, Out, say};
use super::super::key::{Key, text};
use crate::chain::Sent;
use crate::chain::deploy::{DeployError, Deployment, Plan, deploy};

const EXAMPLES: &str = "\
Examples:
  sceau contract deploy --rpc-url https://rpc.example --chain-id 11155111 \\
    --keystore key.json --password-file password --owner 0x7099…79C8
  sceau contract deploy --rpc-url http://127.0.0.1:8545 --chain-id 31337 --key-env KEY --json";

/// Deploy a new registry and print its settings
///
/// Every call deploys another registry. Prints address, transaction and block, and what to add to sceau.toml.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Deploy {
    /// JSON-RPC endpoint of the chain
    #[arg(long, value_name = "URL")]
    rpc_url: String,

    /// EIP-155 chain id the endpoint must serve
    #[arg(long, value_name = "ID")]
    chain_id: u64,

    /// Who may name publishers and hand over [default: the signing account]
    #[arg(long, value_name = "0xADDRESS")]
    owner: Option<Address>,

    /// Who may anchor [default: the signing account]
    #[arg(long, value_name = "0xADDRESS")]
    publisher: Option<Address>,

    /// Number of the first batch it takes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..1 << 53))]
    first_number: u64,

    /// Offer no more than this, gwei per gas
    #[arg(long, value_name = "GWEI", default_value_t = 200)]
    max_fee_gwei: u64,

    /// Wait no longer than so many seconds for the block
    #[arg(long, value_name = "SECONDS", default_value_t = 180)]
    timeout: u64,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    key: Key,
}

/// Runs the command.
///
/// # Errors
/// When there is no registry, or none that is known of; the text says which.
pub(super) async fn run(command: Deploy, out: &mut Out) -> anyhow::Result<Ending> {
    let wallet = command.key.open()?;
    let account = wallet.account();
    let plan = Plan {
        chain_id: command.chain_id,
        owner: command.owner.unwrap_or(account),
        publisher: command.publisher.unwrap_or(account),
        first_number: command.first_number,
        fee_ceiling: u128::from(command.max_fee_gwei) * 1_000_000_000,
        patience: Duration::from_secs(command.timeout),
    };
    let made = deploy(&command.rpc_url, &wallet, &plan).await.map_err(|error| explained(error, account))?;
    let signer = (plan.publisher == account).then(|| command.key.setting());
    if command.json {
        out.json(&json!({
            "chain_id": plan.chain_id,
            "registry": made.address,
            "tx_hash": made.tx_hash,
            "block_number": made.block.number,
            "block_hash": made.block.hash,
            "owner": plan.owner,
            "publisher": plan.publisher,
            "first_number": plan.first_number,
        }))?;
    } else {
        let snippet = snippet(&command.rpc_url, &plan, &made, signer.as_deref());
        out.line(format_args!(
            "registry     {}\ntransaction  {}\nblock        {}\nowner        {}\npublisher    {}\n\nAdd to sceau.toml:\n\n{snippet}",
            made.address, made.tx_hash, made.block.number, plan.owner, plan.publisher
        ))?;
        out.flush()?;
        if plan.owner == plan.publisher {
            say(
                "owner and publisher are the same account; before real use, hand the registry over to an owner whose key is kept offline",
            );
        }
    }
    Ok(Ending::Done)
}

fn snippet(rpc_url: &str, plan: &Plan, made: &Deployment, signer: Option<&str>) -> String {
    let signer = match signer {
        Some(setting) => format!("signer = {setting}"),
        None => format!(
            "# the key of the publisher, {}:\n# signer = {{ keystore = {{ path = \"…\", password_file = \"…\" }} }}",
            plan.publisher
        ),
    };
    format!("[[targets]]\nrpc_url = {}\nchain_id = {}\nregistry = \"{}\"\n{signer}", text(rpc_url), plan.chain_id, made.address)
}

fn explained(error: DeployError, account: Address) -> anyhow::Error {
    match error {
        DeployError::NotTaken(Sent::InsufficientFunds) => {
            anyhow::anyhow!("{account} cannot pay for the deployment: send it funds, or lower --max-fee-gwei")
        }
        DeployError::NotTaken(Sent::Underpriced) => {
            anyhow::anyhow!(
                "the node wants a higher fee, or another transaction of {account} waits: raise --max-fee-gwei, or try again later"
            )
        }
        DeployError::NotTaken(Sent::NonceTooLow) => {
            anyhow::anyhow!("{account} has sent another transaction meanwhile: try again")
        }
        DeployError::NotTaken(Sent::Rejected(said)) => anyhow::anyhow!("the node did not take the deployment: {said}"),
        DeployError::StillWaiting { tx_hash, address } => anyhow::anyhow!(
            "the deployment {tx_hash} is sent but in no block yet: look for a contract at {address} before you try again"
        ),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::*;
    use crate::chain::Block;
    use crate::config::Target;

    #[test]
    fn the_snippet_is_settings_the_server_reads() {
        let plan = Plan {
            chain_id: 31337,
            owner: Address::repeat_byte(1),
            publisher: Address::repeat_byte(2),
            first_number: 1,
            fee_ceiling: 1,
            patience: Duration::ZERO,
        };
        let made = Deployment {
            address: Address::repeat_byte(0xab),
            tx_hash: B256::ZERO,
            block: Block { number: 1, hash: B256::ZERO, time: 0 },
            code_hash: B256::ZERO,
        };
        for setting in
            [r#"{ env = "KEY" }"#, r#"{ key_file = "a\"b\\c" }"#, r#"{ keystore = { path = "k", password_file = "p" } }"#]
        {
            let url = "http://127.0.0.1:8545/\"\\\u{7f}";
            let written = snippet(url, &plan, &made, Some(setting));
            let read: Targets =
                figment::Figment::from(<figment::providers::Toml as figment::providers::Format>::string(&written))
                    .extract()
                    .expect("readable");
            assert_eq!(read.targets[0].endpoints().expect("one"), [url]);
            assert_eq!(read.targets[0].chain_id, 31337);
            assert_eq!(read.targets[0].registry.parse(), Ok(made.address));
        }
        assert!(snippet("x", &plan, &made, None).contains("# signer = "));
    }

    #[derive(serde::Deserialize)]
    struct Targets {
        targets: Vec<Target>,
    }
}
