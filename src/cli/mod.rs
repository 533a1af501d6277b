//! The command line: what partners and operators type.
//!
//! Exit statuses: 0 done, 1 failed (also in part), 2 called wrongly.

pub mod access;
pub mod client;
pub mod document;
pub mod events;
pub mod hash;
pub mod lookup;
pub mod operator;
pub mod output;
pub mod submit;
pub mod validations;
pub mod validators;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::operator::{account, audit, contract, recover, server, target};
use self::output::{Ending, Out, Usage, say, sentence};
use crate::telemetry;

const EXAMPLES: &str = "\
Examples:
  sceau dev                            a whole local stack, ready in seconds
  sceau submit --wait anchored a.pdf   submit a file and wait until its batch is on chain
  sceau receipt a.pdf                  save its receipt
  sceau serve --config sceau.toml      run the service

Exit status: 0 done, 1 failed, 2 called wrongly.";

/// Prove that documents existed, unchanged, before a block of an EVM chain
#[derive(Debug, Parser)]
#[command(
    name = "sceau",
    version,
    after_help = EXAMPLES,
    max_term_width = 100,
    disable_help_subcommand = true,
    subcommand_value_name = "COMMAND"
)]
struct Cli {
    /// Settings file of serve, migrate, account, audit, recover, target and contract
    #[arg(id = "outer_config", long = "config", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Submit(submit::Submit),
    Status(lookup::Status),
    List(lookup::List),
    Receipt(lookup::GetReceipt),
    Certificate(lookup::GetCertificate),
    Erase(lookup::Erase),
    Validations(validations::Validations),
    Validators(validators::Validators),
    Events(events::Events),
    Webhook(events::Webhook),
    Dev(crate::dev::Options),
    Serve(server::Serve),
    Migrate(server::Migrate),
    Account(account::Account),
    Audit(audit::Audit),
    Recover(recover::Recover),
    Target(target::Target),
    Contract(contract::Contract),
}

/// Reads the arguments, does what they say, and tells how it went.
#[must_use]
pub fn main() -> ExitCode {
    // A usage error or a request for help ends here, with status 2 or 0.
    let cli = Cli::parse();
    match run(cli) {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::Partly) => ExitCode::FAILURE,
        Err(error) => {
            say(sentence(&error));
            if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<Ending> {
    let filter = if matches!(cli.command, Command::Dev(_)) { telemetry::QUIET_FILTER } else { telemetry::DEFAULT_FILTER };
    telemetry::init(filter).map_err(|error| output::usage(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ending = runtime.block_on(dispatch(cli));
    // Not waiting for what nobody needs any more, a name look-up say.
    runtime.shutdown_background();
    ending
}

async fn dispatch(cli: Cli) -> anyhow::Result<Ending> {
    let mut out = Out::stdout();
    let outer = cli.config.as_deref();
    let ending = match cli.command {
        Command::Submit(command) => submit::run(command, &mut out).await,
        Command::Status(command) => lookup::status(command, &mut out).await,
        Command::List(command) => lookup::list(command, &mut out).await,
        Command::Receipt(command) => lookup::receipt(command, &mut out).await,
        Command::Certificate(command) => lookup::certificate(command, &mut out).await,
        Command::Erase(command) => lookup::erase(command, &mut out).await,
        Command::Validations(command) => validations::run(command, &mut out).await,
        Command::Validators(command) => validators::run(command, &mut out).await,
        Command::Events(command) => events::events(command, &mut out).await,
        Command::Webhook(command) => events::webhook(command, &mut out).await,
        Command::Dev(options) => server::dev(options).await,
        Command::Serve(command) => server::serve(command, outer).await,
        Command::Migrate(command) => server::migrate(command, outer, &mut out).await,
        Command::Account(command) => account::run(command, outer, &mut out).await,
        Command::Audit(command) => audit::run(command, outer, &mut out).await,
        Command::Recover(command) => recover::run(command, outer, &mut out).await,
        Command::Target(command) => target::run(command, outer, &mut out).await,
        Command::Contract(command) => contract::run(command, outer, &mut out).await,
    }?;
    out.flush()?;
    Ok(ending)
}
