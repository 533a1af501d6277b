//! `sceau events` and `sceau webhook`: what became of proofs, read or sent.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::access::Connection;
use super::client::{Client, Event};
use super::output::{Ending, Out, printable};

const EXAMPLES: &str = "\
Examples:
  sceau events --follow
  sceau events --after 1200 --json

One line an event: place in the log, time, type, and what it is about. Give the last place that you have
seen to --after, and nothing is missed.";

/// Show what became of your proofs and documents, in order
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Events {
    /// Begin behind this place of the log
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "SEQ")]
    after: u64,

    /// Wait for more, until interrupted
    #[arg(short, long)]
    follow: bool,

    /// Print one JSON object an event: as the API has it
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

/// Seconds the API waits for an event.
const WAIT: u32 = 10;

/// Runs `sceau events`.
///
/// # Errors
/// When the API cannot be asked.
pub async fn events(what: Events, out: &mut Out) -> anyhow::Result<Ending> {
    let client = what.connection.client()?;
    let mut after = what.after;
    while out.open() {
        let page = client.events(after, if what.follow { WAIT } else { 0 }).await?;
        for event in &page.events {
            if what.json { out.json(event)? } else { out.line(row(event))? }
        }
        out.flush()?;
        if page.events.is_empty() && !what.follow {
            break;
        }
        after = page.next.max(after);
    }
    Ok(Ending::Done)
}

fn row(event: &Event) -> String {
    let of = |name: &str| event.data.get(name);
    let about = match (of("batch"), of("validation"), of("webhook")) {
        (Some(batch), ..) => {
            let number = |name: &str| of(name).and_then(Value::as_u64).unwrap_or_default();
            format!("batch {batch}  proofs {} to {}", number("first"), number("last"))
        }
        (_, Some(validation), _) => format!("{}  {}", text(validation), text(of("digest").unwrap_or(&Value::Null))),
        (.., Some(webhook)) => text(webhook),
        _ => String::new(),
    };
    format!("{:>6}  {}  {:<18}  {about}", event.seq, printable(&event.timestamp), printable(&event.kind))
}

/// A value in one line: words without their quotes.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        Value::Null => "-".into(),
        other => printable(&other.to_string()),
    }
}

const WEBHOOK_EXAMPLES: &str = "\
Examples:
  sceau webhook add https://partner.example/sceau --type proofs.final --type proofs.overdue
  sceau webhook list
  sceau webhook deliveries 0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9
  sceau webhook resume 0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9 --after 1200

Messages are signed as the Standard Webhooks specification has it.";

/// Have events sent to an address of yours
#[derive(Debug, Args)]
#[command(after_help = WEBHOOK_EXAMPLES)]
pub struct Webhook {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a webhook, and print its secret: it is not shown again
    Add(Add),
    /// List webhooks, and how each stands
    List(Plain),
    /// Send a test
    Test(Named),
    /// Show what was sent, newest first
    Deliveries(Named),
    /// Send again at once: from where it stopped, or from an earlier place of the log
    Resume(Resume),
    /// Change the secret, and print the new one: it is not shown again
    Rotate(Rotate),
    /// End a webhook
    Remove(Named),
}

#[derive(Debug, Args)]
struct Add {
    /// Where events go: https://…
    url: String,

    /// Send only events of this type; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,

    /// Begin behind this place of the log instead of with what happens from now on
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
struct Plain {
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
struct Named {
    /// Id as `list` shows it
    id: uuid::Uuid,

    /// Print JSON: the API's answer
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
struct Resume {
    /// Id as `list` shows it
    id: uuid::Uuid,

    /// Send again what is behind this place of the log
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Args)]
struct Rotate {
    /// Id as `list` shows it
    id: uuid::Uuid,

    /// For so many seconds the secret before signs as well; a day when nothing is said
    #[arg(long, value_name = "SECONDS")]
    overlap: Option<u32>,

    #[command(flatten)]
    connection: Connection,
}

/// Runs `sceau webhook`.
///
/// # Errors
/// When the API cannot be asked, or refuses.
pub async fn webhook(command: Webhook, out: &mut Out) -> anyhow::Result<Ending> {
    match command.action {
        Action::Add(what) => {
            let made = what.connection.client()?.add_webhook(&what.url, &what.types, what.after).await?;
            out.line(format_args!("{}  {}", member(&made, "id"), member(&made, "secret")))?;
        }
        Action::List(what) => list(&what.connection.client()?, what.json, out).await?,
        Action::Test(what) => {
            what.connection.client()?.test_webhook(&what.id.to_string()).await?;
            out.line("a test is on its way; see sceau webhook deliveries")?;
        }
        Action::Deliveries(what) => {
            for delivery in what.connection.client()?.deliveries(&what.id.to_string(), 200).await? {
                if what.json { out.json(&delivery)? } else { out.line(delivered(&delivery))? }
            }
        }
        Action::Resume(what) => {
            let resumed = what.connection.client()?.resume_webhook(&what.id.to_string(), what.after).await?;
            out.line(standing(&resumed))?;
        }
        Action::Rotate(what) => {
            let rotated = what.connection.client()?.rotate_webhook(&what.id.to_string(), what.overlap).await?;
            let until = member(&rotated, "previous_secret_until");
            out.line(format_args!("{}  the one before signs as well until {until}", member(&rotated, "secret")))?;
        }
        Action::Remove(what) => {
            what.connection.client()?.remove_webhook(&what.id.to_string()).await?;
            out.line(format_args!("removed {}", what.id))?;
        }
    }
    Ok(Ending::Done)
}

fn member(value: &Value, name: &str) -> String {
    text(value.get(name).unwrap_or(&Value::Null))
}

async fn list(client: &Client, json: bool, out: &mut Out) -> anyhow::Result<()> {
    for webhook in client.webhooks().await? {
        if json { out.json(&webhook)? } else { out.line(standing(&webhook))? }
    }
    Ok(())
}

fn standing(webhook: &Value) -> String {
    let of = |name: &str| member(webhook, name);
    let failing = match webhook.get("failing_since") {
        Some(since) if !since.is_null() => format!("  fails since {}", text(since)),
        _ => String::new(),
    };
    format!("{}  {:<6}  at {}, {} behind  {}{failing}", of("id"), of("state"), of("cursor"), of("waiting"), of("url"))
}

fn delivered(delivery: &Value) -> String {
    let of = |name: &str| member(delivery, name);
    let outcome = if delivery.get("error").is_none_or(Value::is_null) { "taken".to_owned() } else { of("error") };
    format!(
        "{}  {:>6}  {:<18}  try {}  {outcome:<15}  {}  {} ms",
        of("at"),
        of("seq"),
        of("type"),
        of("attempt"),
        of("status"),
        of("duration_ms")
    )
}
