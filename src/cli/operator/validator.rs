//! `sceau account validator`: who decides about an account's documents, and how many must approve.

use clap::Subcommand;
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::super::output::{Out, printable, say};
use super::explained;
use crate::ledger::validations::members::{MOST_APPROVALS, Validator};
use crate::ledger::{Ledger, LedgerError};

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Let a validator account decide about an account's documents
    Add {
        /// Whose documents
        account: String,

        /// Name of an account with the role validator
        validator: String,
    },
    /// Let it decide no more; what it decided stands
    Remove {
        /// Whose documents
        account: String,

        /// The validator's name
        validator: String,
    },
    /// List the validators of an account
    List {
        /// Whose documents
        account: String,

        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Set how many approvals documents need that are submitted from now on
    Require {
        /// Whose documents
        account: String,

        /// Approvals
        #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_APPROVALS)))]
        approvals: u32,
    },
}

pub(super) async fn act(action: Action, ledger: &Ledger, out: &mut Out) -> anyhow::Result<()> {
    let told = |error| match error {
        LedgerError::Moved { what } => anyhow::anyhow!("there is no {what}; see `sceau account list`"),
        error => explained(error),
    };
    let (account, listed) = match action {
        Action::Add { account, validator } => {
            ledger.add_validator(&account, &validator).await.map_err(told)?;
            out.line(format_args!("{} decides about documents of {}", printable(&validator), printable(&account)))?;
            (account, None)
        }
        Action::Remove { account, validator } => {
            ledger.remove_validator(&account, &validator).await.map_err(told)?;
            out.line(format_args!("{} decides about documents of {} no more", printable(&validator), printable(&account)))?;
            (account, None)
        }
        Action::Require { account, approvals } => {
            ledger.require_approvals(&account, approvals).await.map_err(told)?;
            out.line(format_args!("documents of {} need {approvals} of its validators", printable(&account)))?;
            (account, None)
        }
        Action::List { account, json } => (account, Some(json)),
    };
    let (validators, needed) = ledger.validators(&account).await.map_err(told)?;
    match listed {
        Some(true) => out.json(&json!({ "account": account, "approvals_needed": needed, "validators": validators }))?,
        Some(false) => validators.iter().try_for_each(|validator| out.line(row(validator)))?,
        None => {}
    }
    let able = validators.iter().filter(|validator| validator.active).count();
    if able < needed as usize {
        say(format_args!(
            "{} needs {needed} approvals and has {able} active validators: nothing of it can be accepted that way",
            printable(&account)
        ));
    }
    Ok(())
}

fn row(validator: &Validator) -> String {
    let since = validator.added_at.format(&Rfc3339).unwrap_or_default();
    format!("{}  since {since}{}", printable(&validator.name), if validator.active { "" } else { "  disabled" })
}
