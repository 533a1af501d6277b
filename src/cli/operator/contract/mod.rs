//! `sceau contract`: registries on chains, and who may do what in them.

mod deploy;
mod perform;
mod roles;
mod site;
mod status;

use std::path::Path;

use clap::{Args, Subcommand};

use super::super::output::{Ending, Out};

/// Deploy the registry contract that holds the anchors, and manage who anchors in it
#[derive(Debug, Args)]
pub struct Contract {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Deploy(deploy::Deploy),
    Status(status::Status),
    SetPublisher(roles::SetPublisher),
    AcceptPublisher(roles::AcceptPublisher),
    RevokePublisher(roles::RevokePublisher),
    TransferOwnership(roles::TransferOwnership),
    AcceptOwnership(roles::AcceptOwnership),
}

/// Runs the command.
///
/// # Errors
/// When what was asked for is not done, or not known to be; the text says which.
pub async fn run(command: Contract, outer: Option<&Path>, out: &mut Out) -> anyhow::Result<Ending> {
    match command.action {
        Action::Deploy(command) => deploy::run(command, out).await,
        Action::Status(command) => status::run(command, outer, out).await,
        Action::SetPublisher(command) => command.run(outer, out).await,
        Action::AcceptPublisher(command) => command.run(outer, out).await,
        Action::RevokePublisher(command) => command.run(outer, out).await,
        Action::TransferOwnership(command) => command.run(outer, out).await,
        Action::AcceptOwnership(command) => command.run(outer, out).await,
    }
}
