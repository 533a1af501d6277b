//! A Postgres of the bench's own, with the schema in it.

use anyhow::Result;
use sceau::dev::postgres::{self, Options, Postgres};
use sceau::ledger::{Ledger, guarded};
use sqlx::postgres::{PgPool, PgPoolOptions};

/// Connections of the ledger, and of the pool.
const CONNECTIONS: u32 = 20;

/// The database; gone when it is stopped.
pub struct Database {
    /// What is measured works through it.
    pub ledger: Ledger,
    /// What is prepared, compared and looked up beside it.
    pub pool: PgPool,
    /// Of Postgres.
    pub version: String,
    postgres: Postgres,
}

impl Database {
    /// Starts it with these settings, in a folder of its own.
    pub async fn start(settings: &[(&str, &str)]) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("sceau-bench-{}", std::process::id()));
        let options = Options {
            data: &folder,
            port: None,
            database: "bench",
            password: "bench",
            binaries: None,
            settings,
            throw_away: true,
        };
        let postgres = postgres::start(options, &|line| eprintln!("{line}")).await?;
        let ledger = Ledger::connect(&postgres.url, CONNECTIONS)?;
        ledger.migrate().await?;
        let pool = guarded(PgPoolOptions::new()).max_connections(CONNECTIONS).connect(&postgres.url).await?;
        let version = sqlx::query_scalar("show server_version").fetch_one(&pool).await?;
        Ok(Self { ledger, pool, version, postgres })
    }

    /// Closes the connections, stops the server and removes its folder.
    pub async fn stop(self) {
        self.ledger.close().await;
        self.pool.close().await;
        self.postgres.stop().await;
    }
}
