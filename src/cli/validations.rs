//! `sceau validations`: what waits for a validator, and the validator's word on it.

use clap::{Args, Subcommand};

use super::access::Connection;
use super::client::{Client, ClientError, Validation, Verb};
use super::output::{Ending, Out, printable, say};

const EXAMPLES: &str = "\
Examples:
  sceau validations list
  sceau validations approve 0198f2b6-7c1e-7d33-9a55-2f6f0d3f7b10
  sceau validations refuse --comment \"not signed\" 0198f2b6-7c1e-7d33-9a55-2f6f0d3f7b10

Every decision is sealed and anchored like a document, and cannot be taken back.";

/// See and decide what waits for you as a validator
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Validations {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what waits for your decision, oldest first
    List(List),
    /// Approve documents: with the last approval they need they are sealed
    Approve(Decide),
    /// Refuse documents: one refusal is enough, and they are not sealed
    Refuse(Decide),
}

#[derive(Debug, Args)]
struct List {
    /// Print one JSON object a document: the API's answer
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
struct Decide {
    /// Ids as `list` shows them
    #[arg(required = true, value_name = "ID", value_parser = id)]
    ids: Vec<uuid::Uuid>,

    /// What you say about it, at most 1000 characters; it is sealed with the decision
    #[arg(short, long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    comment: String,

    /// Print one JSON object a document: the API's answer
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

fn id(text: &str) -> Result<uuid::Uuid, String> {
    uuid::Uuid::try_parse(text).map_err(|_| "not an id as `sceau validations list` shows them".into())
}

/// Runs the command.
///
/// # Errors
/// When the API cannot be asked, or refuses a decision.
pub async fn run(command: Validations, out: &mut Out) -> anyhow::Result<Ending> {
    match command.action {
        Action::List(what) => list(&what.connection.client_as("validator")?, what.json, out).await,
        Action::Approve(what) => decide(Verb::Approve, what, out).await,
        Action::Refuse(what) => decide(Verb::Refuse, what, out).await,
    }
}

async fn list(client: &Client, json: bool, out: &mut Out) -> anyhow::Result<Ending> {
    let mut after = None;
    while out.open() {
        let (page, next) = client.validations(after.as_deref()).await?;
        for validation in &page {
            if json {
                out.json(validation)?;
            } else {
                out.line(row(validation))?;
            }
        }
        out.flush()?;
        match next {
            // A page that does not go on would be asked for for ever.
            Some(next) if after.as_ref() != Some(&next) => after = Some(next),
            _ => break,
        }
    }
    Ok(Ending::Done)
}

async fn decide(verb: Verb, what: Decide, out: &mut Out) -> anyhow::Result<Ending> {
    let client = what.connection.client_as("validator")?;
    let mut ending = Ending::Done;
    for id in what.ids {
        match client.decide(&id.to_string(), verb, &what.comment).await {
            Ok(validation) if what.json => out.json(&validation)?,
            Ok(validation) => out.line(row(&validation))?,
            // About this document alone; the others are not to wait for it.
            Err(ClientError::Problem(problem))
                if matches!(&*problem.code, "validation_unknown" | "validation_settled" | "decision_differs") =>
            {
                say(format_args!("{id}: {problem}"));
                ending = Ending::Partly;
            }
            Err(error) => return Err(error.into()),
        }
        out.flush()?;
    }
    Ok(ending)
}

fn row(validation: &Validation) -> String {
    let name = validation.rest.get("file_name").and_then(|name| name.as_str()).unwrap_or("-");
    format!(
        "{}  {:<8}  {}/{}  {}  {}  {}",
        printable(&validation.id),
        printable(&validation.state),
        validation.approvals,
        validation.approvals_needed,
        validation.digest,
        printable(&validation.account),
        printable(name)
    )
}
