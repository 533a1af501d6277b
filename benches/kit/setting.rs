//! What every served router needs: somebody who may ask, keys, a listener.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use sceau::api::access::secret::Pepper;
use sceau::api::access::token::{Scopes, Tokens};
use sceau::api::listen::Listener;
use sceau::api::{Deadline, State};
use sceau::config::Http;
use sceau::ledger::Ledger;
use sceau::ledger::accounts::limits::{Change, Changes};
use sceau::ledger::accounts::{Credential, Role};
use sceau::ledger::intake::Intake;
use sceau::pipeline::schedule::Schedule;
use sceau::ports::Ports;

/// RFC 8410 §10.3: known to everybody, good for a bench.
const TOKEN_KEY: &str =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
/// The service's own address, as links show it.
pub const PUBLIC_URL: &str = "http://localhost";

/// A partner with as many requests as it likes: what is measured is not the limit on them.
pub struct Partner {
    key: String,
    /// As the ledger has it.
    pub credential: Credential,
}

impl Partner {
    /// A new one; its name is its consumer key.
    pub async fn new(ledger: &Ledger, name: &str) -> Result<Self> {
        ledger.create_account(name, Role::Partner, name, [0; 32]).await?;
        let changes =
            Changes { requests_per_second: Change::Set(1_000_000), burst: Change::Set(1_000_000), digests_per_day: Change::Keep };
        ledger.change_limits(Some(name), changes).await?;
        let credential = ledger.credential(name).await?.context("the credential just made")?;
        Ok(Self { key: name.into(), credential })
    }

    /// What handlers need, and the `Authorization` of this partner.
    pub fn state(&self, ledger: &Ledger, intake: &Intake, ports: &Ports) -> Result<(State, String)> {
        let tokens = Tokens::from_pem(TOKEN_KEY.as_bytes(), PUBLIC_URL, 3600)?;
        let scopes = Scopes::of_role(Role::Partner);
        let token = tokens.issue(&self.credential, &self.key, scopes, ports.clock.now(), ports.entropy.as_ref())?;
        let pepper = Pepper::from_bytes([7; 32]);
        let state = State::new(ledger.clone(), intake.clone(), ports.clone(), tokens, pepper, deadline()?, PUBLIC_URL);
        Ok((state, format!("Bearer {token}")))
    }
}

/// Sealed every minute, anchored half an hour later at most.
pub fn deadline() -> Result<Deadline> {
    let schedule = Schedule::parse("0 * * * * *")?;
    Ok(Deadline::new(move |moment| schedule.next_after(moment), Duration::from_secs(1800)))
}

/// Serves a router on a port of its own; ends with its runtime.
pub async fn listen(router: Router) -> Result<SocketAddr> {
    let http = Http { listen: ([127, 0, 0, 1], 0).into(), public_url: PUBLIC_URL.into(), tls: None, plain: true };
    let listener = Listener::bind(&http).await.context("the bench's listener")?;
    let address = listener.address();
    tokio::spawn(listener.serve(router, std::future::pending()));
    Ok(address)
}
