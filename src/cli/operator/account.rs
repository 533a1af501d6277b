//! `sceau account`: who may submit.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use figment::value::Value;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::super::output::{Ending, Out, printable};
use super::access::{self, Access};
use super::{Settings, explained, identity, import, ledger, part, validator};
use crate::api::Deadline;
use crate::api::access::secret::{Pepper, generate};
use crate::app;
use crate::ledger::accounts::{Account as Row, Role};
use crate::ledger::{Ledger, LedgerError};
use crate::ports::SystemEntropy;

const EXAMPLES: &str = "\
Examples:
  sceau account create acme
  sceau account create notary --role validator --json
  sceau account list
  sceau account validator add acme notary
  sceau account disable acme
  sceau account credential add acme
  sceau account networks set acme 192.0.2.0/24 2001:db8::/32
  sceau account limits acme --digests-per-day 100000
  sceau account identity acme --clef-file clef
  sceau account import accounts.csv";

/// Create, list and disable accounts; say what they may do and how they get in
///
/// Works on the database directly: of the settings it needs database_url and, where secrets are concerned, auth.pepper.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Account {
    #[command(flatten)]
    settings: Settings,

    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create an account; its secret is shown once and never again
    Create {
        /// Unique name
        name: String,

        /// What the account may do
        #[arg(long, value_enum, default_value_t = Role::Partner)]
        role: Role,

        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// List all accounts by name
    List {
        /// Print one JSON object an account
        #[arg(long)]
        json: bool,
    },
    /// Say who validates for an account
    Validator {
        #[command(subcommand)]
        action: validator::Action,
    },
    /// Disable an account: its tokens are refused within five seconds
    Disable {
        /// Its name
        name: String,
    },
    #[command(flatten)]
    Access(Access),
    Identity(identity::Identity),
    Client(identity::Client),
    Subscription(identity::Subscription),
    Import(import::Import),
}

#[derive(Deserialize)]
pub(super) struct Settled {
    database_url: SecretString,
    #[serde(default)]
    auth: Auth,
    /// Read only where something is accepted, so that other commands need it not to be right.
    seal: Option<Value>,
}

impl Settled {
    /// By when what is accepted is promised to be anchored.
    pub(super) fn deadline(&self) -> anyhow::Result<Deadline> {
        let seal =
            self.seal.as_ref().map(Value::deserialize).transpose().map_err(|error| anyhow::anyhow!("settings: {error}"))?;
        Ok(app::deadline(&seal.unwrap_or_default())?.1)
    }

    /// The key of secrets.
    pub(super) fn pepper(&self) -> anyhow::Result<Pepper> {
        let pepper = self.auth.pepper.as_deref();
        Pepper::load(pepper.ok_or_else(|| anyhow::anyhow!("settings: auth.pepper is missing (or set SCEAU_AUTH__PEPPER)"))?)
    }
}

#[derive(Deserialize, Default)]
struct Auth {
    pepper: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When the settings are wrong, the database fails, or the name is taken or unknown.
pub async fn run(command: Account, outer: Option<&Path>, out: &mut Out) -> anyhow::Result<Ending> {
    let settled: Settled = part(command.settings.file(outer).as_deref())?;
    let ledger = ledger(&settled.database_url)?;
    let done = act(command.action, &settled, &ledger, out).await;
    ledger.close().await;
    done.map(|()| Ending::Done)
}

async fn act(action: Action, settled: &Settled, ledger: &Ledger, out: &mut Out) -> anyhow::Result<()> {
    match action {
        Action::Create { name, role, json } => {
            anyhow::ensure!(
                is_name(&name),
                "the name of an account has at least one character that can be seen, and none that controls a terminal"
            );
            let pepper = settled.pepper()?;
            let made = generate(&SystemEntropy);
            let hash = pepper.hash(made.secret.expose_secret());
            let id = ledger.create_account(&name, role, &made.key, hash).await.map_err(|error| match error {
                LedgerError::Moved { .. } => anyhow::anyhow!("there is an account named {name} already"),
                error => explained(error),
            })?;
            access::show(&made, json.then(|| json!({ "id": id, "name": name, "role": role })), out)?;
        }
        Action::List { json } => {
            let accounts = ledger.accounts().await.map_err(explained)?;
            let width = accounts.iter().map(|account| account.name.chars().count()).max().unwrap_or(0);
            for account in accounts {
                if json {
                    out.json(&account)?;
                } else {
                    out.line(row(&account, width))?;
                }
            }
        }
        Action::Validator { action } => validator::act(action, ledger, out).await?,
        Action::Identity(command) => identity::identity(command, settled, ledger, out).await?,
        Action::Client(command) => identity::client(command, ledger, out).await?,
        Action::Subscription(command) => identity::subscription(command, ledger, out).await?,
        Action::Import(command) => import::run(command, settled, ledger, out).await?,
        Action::Disable { name } => {
            ledger.disable_account(&name).await.map_err(|error| match error {
                LedgerError::Moved { .. } => anyhow::anyhow!("there is no active account named {name}; see `sceau account list`"),
                error => explained(error),
            })?;
            out.line(format_args!("{} is disabled", printable(&name)))?;
        }
        Action::Access(access) => access::act(access, || settled.pepper(), ledger, out).await?,
    }
    Ok(())
}

/// Whether an account may have this name.
pub(super) fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && !name.contains(char::is_control) && name.chars().count() <= 100
}

fn row(account: &Row, width: usize) -> String {
    let state = match account.disabled_at.and_then(|at| at.format(&Rfc3339).ok()) {
        Some(at) => format!("disabled {at}"),
        None => "active".into(),
    };
    format!("{:<width$}  {:<9}  {state}", printable(&account.name), account.role.as_str())
}
