//! The service as `sceau serve` runs its API.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use sceau::api::{self, State};
use sceau::ledger::Ledger;
use sceau::ledger::intake::{Intake, Limits};
use sceau::ports::Ports;
use tokio::task::JoinSet;

use super::setting::{Partner, deadline, listen};

/// A served router; ends with its runtime.
pub struct Served {
    /// Where it listens.
    pub address: SocketAddr,
    _lanes: Option<JoinSet<()>>,
}

impl Served {
    /// With the lanes of its intake, which end with it.
    pub fn new(address: SocketAddr, lanes: Option<JoinSet<()>>) -> Self {
        Self { address, _lanes: lanes }
    }
}

/// The service, and a token for it.
pub async fn service(ledger: &Ledger) -> Result<(Served, String)> {
    let (state, lanes, token) = state(ledger, "ck_bench_service").await?;
    Ok((Served::new(listen(api::router(state)).await?, Some(lanes)), token))
}

/// What its handlers need, for a partner of this name.
pub async fn state(ledger: &Ledger, name: &str) -> Result<(State, JoinSet<()>, String)> {
    let ports = Ports::system();
    let partner = Partner::new(ledger, name).await?;
    let terms = deadline()?;
    let ledger = &ledger.clone().promising(move |moment| terms.around(moment), Arc::clone(&ports.clock));
    let (intake, lanes) = Intake::start(ledger, &ports.entropy, Limits::default());
    let (state, token) = partner.state(ledger, &intake, &ports)?;
    Ok((state, lanes, token))
}
