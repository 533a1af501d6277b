//! `sceau account …`: credentials, networks and limits of an account.

use clap::{Args, Subcommand, ValueEnum};
use ipnet::IpNet;
use secrecy::ExposeSecret;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::output::{Out, say, usage};
use super::explained;
use crate::api::access::peer;
use crate::api::access::secret::{Generated, Pepper, generate};
use crate::ledger::accounts::credentials;
use crate::ledger::accounts::limits::{Change, Changes, Limits};
use crate::ledger::{Ledger, LedgerError};
use crate::ports::SystemEntropy;

/// Commands on how an account gets in.
#[derive(Debug, Subcommand)]
pub enum Access {
    /// Add, revoke and list the credentials of an account
    #[command(subcommand)]
    Credential(Credential),
    /// Say whether key and secret are taken in place of a token (Basic)
    Basic {
        /// The account's name
        name: String,

        /// Whether they are
        #[arg(value_enum)]
        switch: Switch,
    },
    /// Say from which networks an account may ask
    #[command(subcommand)]
    Networks(Networks),
    /// Show and change how often an account may ask and how much it may submit
    ///
    /// Without a change it shows what counts. Instances follow within five seconds.
    Limits(Changed),
    /// Take all tokens of an account back; it may ask for new ones
    RevokeTokens {
        /// The account's name
        name: String,
    },
}

/// Commands on credentials.
#[derive(Debug, Subcommand)]
pub enum Credential {
    /// Make one more key and secret, while the old ones still work; the secret is shown once
    Add {
        /// The account's name
        name: String,

        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Refuse a key; tokens in use are refused within five seconds
    Revoke {
        /// The account's name
        name: String,

        /// The consumer key
        key: String,
    },
    /// List the keys of an account, oldest first
    List {
        /// The account's name
        name: String,

        /// Print one JSON object a key
        #[arg(long)]
        json: bool,
    },
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Key and secret are taken
    On,
    /// Only tokens are taken
    Off,
}

/// Commands on networks.
#[derive(Debug, Subcommand)]
pub enum Networks {
    /// Replace the list; without a network the account may ask from anywhere
    Set {
        /// The account's name
        name: String,

        /// Addresses, or networks like 192.0.2.0/24 and 2001:db8::/32
        #[arg(value_parser = peer::network)]
        networks: Vec<IpNet>,
    },
    /// List them
    List {
        /// The account's name
        name: String,
    },
}

/// What is changed.
#[derive(Debug, Args)]
pub struct Changed {
    /// The account's name
    #[arg(required_unless_present = "defaults", conflicts_with = "defaults")]
    name: Option<String>,

    /// The limits of all accounts that have none of their own
    #[arg(long)]
    defaults: bool,

    /// Requests a second in the long run, on each instance; `default` to follow the defaults
    #[arg(long, value_name = "NUMBER")]
    requests_per_second: Option<String>,

    /// Requests at once, on each instance
    #[arg(long, value_name = "NUMBER")]
    burst: Option<String>,

    /// New digests a day (UTC), on all instances together; `none` for no limit
    #[arg(long, value_name = "NUMBER")]
    digests_per_day: Option<String>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Changed {
    fn changes(&self) -> anyhow::Result<Changes> {
        let rate = |name: &str, text: Option<&str>| match self.word(name, text)? {
            Change::Set(text) => match text.parse() {
                Ok(rate @ 1..=1_000_000) => Ok(Change::Set(rate)),
                _ => Err(usage(format!("--{name}: a number from 1 to 1000000, or default, not {text:?}"))),
            },
            Change::Keep => Ok(Change::Keep),
            Change::Default => Ok(Change::Default),
        };
        let digests = match self.word("digests-per-day", self.digests_per_day.as_deref())? {
            Change::Set("none") => Change::Set(None),
            Change::Set(text) => {
                // What a structured field can tell.
                let count = text.parse().ok().filter(|count: &u64| *count < 1_000_000_000_000_000);
                Change::Set(Some(
                    count.ok_or_else(|| usage(format!("--digests-per-day: a number, none or default, not {text:?}")))?,
                ))
            }
            Change::Keep => Change::Keep,
            Change::Default => Change::Default,
        };
        Ok(Changes {
            requests_per_second: rate("requests-per-second", self.requests_per_second.as_deref())?,
            burst: rate("burst", self.burst.as_deref())?,
            digests_per_day: digests,
        })
    }

    fn word<'a>(&self, name: &str, text: Option<&'a str>) -> anyhow::Result<Change<&'a str>> {
        match text {
            None => Ok(Change::Keep),
            Some("default") if self.defaults => Err(usage(format!("--{name}: the defaults have no default"))),
            Some("default") => Ok(Change::Default),
            Some(text) => Ok(Change::Set(text)),
        }
    }
}

/// Runs one of them. `pepper` reads the key of consumer secrets where it is needed.
///
/// # Errors
/// When the database fails, or there is no such account or key.
pub async fn act(
    access: Access,
    pepper: impl Fn() -> anyhow::Result<Pepper>,
    ledger: &Ledger,
    out: &mut Out,
) -> anyhow::Result<()> {
    match access {
        Access::Credential(Credential::Add { name, json }) => {
            let made = generate(&SystemEntropy);
            let hash = pepper()?.hash(made.secret.expose_secret());
            let added = ledger.add_credential(&name, &made.key, hash).await.map_err(|error| unknown(error, &name))?;
            anyhow::ensure!(
                added,
                "{name} has {} credentials in use, which is the most: revoke the old one first (`sceau account credential list {name}`)",
                credentials::MOST
            );
            show(&made, json.then(|| json!({ "name": name })), out)?;
        }
        Access::Credential(Credential::Revoke { name, key }) => {
            ledger.revoke_credential(&name, &key).await.map_err(|error| match error {
                LedgerError::Moved { .. } => {
                    anyhow::anyhow!("{name} has no such credential in use; see `sceau account credential list {name}`")
                }
                error => explained(error),
            })?;
            out.line(format_args!("{key} is revoked"))?;
        }
        Access::Credential(Credential::List { name, json }) => {
            for shown in ledger.credentials(&name).await.map_err(|error| unknown(error, &name))? {
                if json {
                    out.json(&shown)?;
                } else {
                    let state = shown.revoked_at.map_or_else(|| "in use".into(), |at| format!("revoked {}", written(at)));
                    out.line(format_args!("{}  {}  {state}", shown.consumer_key, written(shown.created_at)))?;
                }
            }
        }
        Access::Basic { name, switch } => {
            ledger.set_basic(&name, switch == Switch::On).await.map_err(|error| unknown(error, &name))?;
            let taken = if switch == Switch::On { "are taken in place of a token" } else { "are taken for tokens only" };
            out.line(format_args!("key and secret of {name} {taken}"))?;
        }
        Access::Networks(Networks::Set { name, networks }) => {
            anyhow::ensure!(networks.len() <= 100, "an account has at most 100 networks, not {}", networks.len());
            ledger.set_networks(&name, &networks).await.map_err(|error| unknown(error, &name))?;
            list(&name, (!networks.is_empty()).then_some(networks), out)?;
        }
        Access::Networks(Networks::List { name }) => {
            list(&name, ledger.networks(&name).await.map_err(|error| unknown(error, &name))?, out)?;
        }
        Access::Limits(changed) => {
            let (changes, name) = (changed.changes()?, changed.name.as_deref());
            ledger.change_limits(name, changes).await.map_err(|error| unknown(error, name.unwrap_or_default()))?;
            let limits = ledger.limits(name).await.map_err(|error| unknown(error, name.unwrap_or_default()))?;
            if changed.json {
                out.json(&limits)?;
            } else {
                let Limits { requests_per_second, burst, digests_per_day } = limits;
                let digests = digests_per_day.map_or_else(|| "none".into(), |digests| digests.to_string());
                out.line(format_args!(
                    "requests per second  {requests_per_second}\nburst                {burst}\ndigests per day      {digests}"
                ))?;
            }
        }
        Access::RevokeTokens { name } => {
            ledger.revoke_tokens(&name).await.map_err(|error| unknown(error, &name))?;
            out.line(format_args!("the tokens of {name} are refused within five seconds"))?;
        }
    }
    Ok(())
}

/// Prints a key and its secret, with what `named` says about them as JSON.
///
/// # Errors
/// When nothing can be printed.
pub fn show(made: &Generated, named: Option<serde_json::Value>, out: &mut Out) -> anyhow::Result<()> {
    let secret = made.secret.expose_secret();
    if let Some(mut value) = named {
        value["consumer_key"] = made.key.clone().into();
        value["consumer_secret"] = secret.into();
        out.json(&value)?;
    } else {
        out.line(format_args!("consumer key     {}\nconsumer secret  {secret}", made.key))?;
    }
    out.flush()?;
    say("this is the only time the secret is shown: keep it now");
    Ok(())
}

fn list(name: &str, networks: Option<Vec<IpNet>>, out: &mut Out) -> anyhow::Result<()> {
    match networks {
        None => out.line(format_args!("{name} may ask from anywhere"))?,
        Some(networks) => {
            for network in networks {
                out.line(network)?;
            }
        }
    }
    Ok(())
}

fn unknown(error: LedgerError, name: &str) -> anyhow::Error {
    match error {
        LedgerError::Moved { .. } => anyhow::anyhow!("there is no account named {name}; see `sceau account list`"),
        error => explained(error),
    }
}

fn written(moment: OffsetDateTime) -> String {
    moment.format(&Rfc3339).unwrap_or_default()
}
