//! `sceau validators`: whom a manager lets decide about documents.

use clap::{Args, Subcommand};

use super::access::Connection;
use super::client::{Validator, Validators as List};
use super::output::{Ending, Out, printable, say};
use crate::ledger::validations::members::MOST_APPROVALS;

const EXAMPLES: &str = "\
Examples:
  sceau validators add --account acme ck_ljhmx2kfyo7tq3gdwn5rvbe4za
  sceau validators require --account acme 2
  sceau validators list --account acme
  sceau validators remove --account acme notary

A validator tells you one of its consumer keys. Its name is enough once it decides or decided for
you or one of your clients.";

/// Name the validators of your account and of your clients, as a manager
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Validators {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List who decides, and how many must approve
    List(Whose),
    /// Let a validator decide
    Add(Who),
    /// Let it decide no more, also about what waits; what it decided stands
    Remove(Who),
    /// Set how many approvals documents need that are submitted from now on
    Require(Require),
}

#[derive(Debug, Args)]
struct Whose {
    /// The client whose documents are meant [default: your own account]
    #[arg(short, long, value_name = "NAME")]
    account: Option<String>,

    /// Print one JSON object: the API's answer
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
struct Who {
    /// A consumer key of the validator, or its name
    validator: String,

    #[command(flatten)]
    whose: Whose,
}

#[derive(Debug, Args)]
struct Require {
    /// Approvals
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_APPROVALS)))]
    approvals: u32,

    #[command(flatten)]
    whose: Whose,
}

/// Runs the command; prints how it stands then.
///
/// # Errors
/// When the API cannot be asked, or refuses.
pub async fn run(command: Validators, out: &mut Out) -> anyhow::Result<Ending> {
    let (list, json) = match command.action {
        Action::List(Whose { account, json, connection }) => {
            (connection.client_as("manager")?.validators(account.as_deref()).await?, json)
        }
        Action::Add(Who { validator, whose: Whose { account, json, connection } }) => {
            (connection.client_as("manager")?.add_validator(account.as_deref(), &validator).await?, json)
        }
        Action::Remove(Who { validator, whose: Whose { account, json, connection } }) => {
            (connection.client_as("manager")?.remove_validator(account.as_deref(), &validator).await?, json)
        }
        Action::Require(Require { approvals, whose: Whose { account, json, connection } }) => {
            (connection.client_as("manager")?.require_approvals(account.as_deref(), approvals).await?, json)
        }
    };
    if json {
        out.json(&list)?;
    } else {
        list.validators.iter().try_for_each(|validator| out.line(row(validator)))?;
    }
    tell(&list);
    Ok(Ending::Done)
}

/// What the list alone does not show.
fn tell(list: &List) {
    let (account, needed) = (printable(&list.account), list.approvals_needed);
    let able = list.validators.iter().filter(|validator| validator.active).count();
    if list.enough {
        say(format_args!("documents of {account} need {needed} of its validators"));
    } else {
        say(format_args!(
            "{account} needs {needed} approvals and has {able} active validators: nothing of it can be accepted that way"
        ));
    }
}

fn row(validator: &Validator) -> String {
    let active = if validator.active { "" } else { "  disabled" };
    format!("{}  since {}{active}", printable(&validator.name), printable(&validator.since))
}
