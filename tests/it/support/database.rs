use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sceau::dev::postgres::{self, Options, Postgres};
use sceau::ports::{Entropy, SystemEntropy};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgPool};

const TEMPLATE: &str = "template_sceau";

/// A migrated database of one test. Dropped soon after this value: every connection to it is cut.
#[derive(Debug)]
pub struct Database {
    /// Connects to it. Holds the password.
    pub url: String,
    /// A small pool.
    pub pool: PgPool,
    /// Its name.
    pub name: String,
}

/// A fresh database with all migrations applied.
pub async fn database() -> Database {
    create(TEMPLATE).await
}

/// One without any migration.
pub async fn bare_database() -> Database {
    create("template0").await
}

async fn create(template: &str) -> Database {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let admin = admin_url();
    execute(&admin, format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
    let url = format!("{}/{name}", admin.rsplit_once('/').expect("a URL with a path").0);
    let pool = PgPoolOptions::new().max_connections(8).connect(&url).await.expect("a connection");
    Database { url, pool, name }
}

impl Database {
    /// A copy as it is now, as a restored backup would be. Whoever is connected to this one has to connect anew.
    pub async fn copy(&self) -> Self {
        let (admin, name) = (admin_url(), &self.name);
        // Whoever was cut off is back sooner than the copy begins.
        execute(&admin, format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
        execute(&admin, format!("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'")).await;
        let copy = create(name).await;
        execute(&admin, format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
        copy
    }
}

impl Drop for Database {
    /// Does not wait: Postgres writes a checkpoint for each dropped database, which takes a second on a busy machine.
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        std::thread::spawn(move || block_on(execute(&admin_url(), statement)));
    }
}

/// Connects to the database `postgres` of this run's cluster, as superuser.
fn admin_url() -> String {
    cluster().admin_url.clone()
}

fn cluster() -> &'static Postgres {
    // Statics are never dropped: the watchdog ends the server and removes the folder after this process.
    static CLUSTER: OnceLock<Postgres> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        // Tests call from inside their own runtimes, which do not outlive them.
        std::thread::spawn(|| block_on(start())).join().expect("a Postgres cluster")
    })
}

async fn start() -> Postgres {
    let folder = tempfile::Builder::new().prefix("sceau-it-postgres-").tempdir().expect("a temporary folder");
    let data = folder.keep();
    let mut password = [0; 16];
    SystemEntropy.fill(&mut password);
    let postgres = postgres::start(
        Options {
            data: &data,
            port: None,
            database: TEMPLATE,
            password: &hex::encode(password),
            binaries: None,
            settings: &[("max_connections", "400")],
            throw_away: true,
        },
        &super::progress,
    )
    .await
    .expect("a Postgres server");
    let mut connection = PgConnection::connect(&postgres.url).await.expect("a connection");
    sqlx::migrate!("./migrations").run(&mut connection).await.expect("the migrations apply");
    connection.close().await.expect("a template nobody is connected to");
    postgres
}

async fn execute(url: &str, statement: String) {
    let options: PgConnectOptions = url.parse().expect("a Postgres URL");
    let mut connection = PgConnection::connect_with(&options).await.expect("a connection");
    sqlx::query(AssertSqlSafe(statement.clone())).execute(&mut connection).await.expect(&statement);
    connection.close().await.expect("an orderly end");
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}
