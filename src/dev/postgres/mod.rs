//! A Postgres server of our own, on 127.0.0.1, ended with its owner.

mod binaries;
mod folder;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection, Row};
use tokio::process::Command;

use self::binaries::Binaries;
use self::folder::Place;
use super::child::{Child, Spec, StopSignal};
use super::host::{FolderLock, ensure_free, free_port};
use super::tools::Progress;

/// Oldest major version this service runs on.
pub const OLDEST: u32 = 15;
/// Newest major version this service runs on.
pub const NEWEST: u32 = 18;
/// The superuser of clusters made here.
pub const USER: &str = "sceau";

/// Recovery after a crash replays at most a few minutes of log.
const READY_WITHIN: Duration = Duration::from_secs(120);
const STOP_GRACE: Duration = Duration::from_secs(30);

/// What server to start.
#[derive(Debug)]
pub struct Options<'a> {
    /// The folder that holds the cluster, its log and nothing else. A cluster that is there already is used again.
    pub data: &'a Path,
    /// `None`: one that is free.
    pub port: Option<u16>,
    /// Created when missing.
    pub database: &'a str,
    /// The superuser's password: kept by the caller, the same at every start.
    pub password: &'a str,
    /// The folder of `initdb` and `postgres`. `None`: found as [`start`] says.
    pub binaries: Option<&'a Path>,
    /// Server settings beside ours, such as `("max_connections", "300")`.
    pub settings: &'a [(&'a str, &'a str)],
    /// Remove the folder once the server and this process are gone.
    pub throw_away: bool,
}

/// A running server. Dropping it asks the server to end, [`Postgres::stop`] waits for that.
pub struct Postgres {
    /// Connects to the database asked for. Holds the password.
    pub url: String,
    /// Connects to the database `postgres`. Holds the password.
    pub admin_url: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Major version.
    pub major: u32,
    /// What the person at the terminal should know.
    pub notes: Vec<String>,
    /// The process.
    pub child: Child,
    _lock: FolderLock,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres").field("address", &self.address).field("major", &self.major).finish_non_exhaustive()
    }
}

impl Postgres {
    /// Ends the server with a fast shutdown: open transactions are rolled back, the last checkpoint is written.
    pub async fn stop(mut self) {
        self.child.stop(STOP_GRACE).await;
    }
}

/// Starts a server and waits until it answers. Durable as Postgres is by default: `fsync`, `full_page_writes` and
/// `synchronous_commit` stay on.
///
/// The binaries are those of `options.binaries`, else of `$SCEAU_POSTGRES_BIN`, else the system's, else the pinned npm
/// package; of the version that made the cluster, when there is one. Root's server runs as another user
/// ([`Postgres::notes`] says so when that moves the data).
///
/// # Errors
/// Each says what to do: no binaries; the cluster is of another version or has another password; a server runs on the
/// folder already; the port is taken; the server does not start.
pub async fn start(options: Options<'_>, progress: Progress<'_>) -> Result<Postgres> {
    let place = folder::prepare(options.data)?;
    let lock = FolderLock::take(&place.folder, "Postgres")?;
    let cluster = place.folder.join("cluster");
    let binaries = binaries_for(&cluster, &options, progress).await?;
    let binaries = match place.user {
        Some(user) => binaries::reachable(binaries, user)?,
        None => binaries,
    };
    if !cluster.exists() {
        progress(&format!("making a Postgres {} cluster", binaries.major));
        init(&binaries, &place, &cluster, options.password).await?;
    }

    let (child, port) = run(&binaries, &place, &cluster, &options).await?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    create_database(&connect_options(port, options.password, "postgres"), options.database).await?;
    let url = |database: &str| format!("postgres://{USER}:{}@{address}/{database}", options.password);
    Ok(Postgres {
        url: url(options.database),
        admin_url: url("postgres"),
        address,
        major: binaries.major,
        notes: place.note.into_iter().collect(),
        child,
        _lock: lock,
    })
}

/// The folder of the pinned npm package's `initdb` and `postgres`, installed when missing: what [`start`] uses where the
/// system has none, and a way to ask for the newest version where it has an older one.
///
/// # Errors
/// When it cannot be installed, or does not run on this machine.
pub async fn pinned_binaries(progress: Progress<'_>) -> Result<PathBuf> {
    Ok(binaries::from_npm(progress).await?.folder)
}

async fn binaries_for(cluster: &Path, options: &Options<'_>, progress: Progress<'_>) -> Result<Binaries> {
    let made_by = match std::fs::read_to_string(cluster.join("PG_VERSION")) {
        Ok(text) => Some(text.trim().parse::<u32>().with_context(|| format!("{} is damaged", cluster.display()))?),
        Err(_) if cluster.exists() => bail!("{} is no Postgres cluster: remove it to begin anew", cluster.display()),
        Err(_) => None,
    };
    let found = binaries::find(options.binaries, made_by, progress).await;
    match made_by {
        Some(major) => found.with_context(|| {
            let folder = options.data.display();
            format!(
                "the data in {folder} was made by Postgres {major}: install that and set SCEAU_POSTGRES_BIN to its folder bin, \
                 or begin anew with `rm -r {folder}/cluster`"
            )
        }),
        None => found,
    }
}

/// Makes the cluster beside its final place and renames it last: what has the final name is whole.
async fn init(binaries: &Binaries, place: &Place, cluster: &Path, password: &str) -> Result<()> {
    let partial = place.folder.join("cluster.partial");
    if partial.exists() {
        std::fs::remove_dir_all(&partial)?;
    }
    let secret = place.folder.join("password.partial");
    folder::write_secret(&secret, password, place.user)?;
    let mut command = Command::new(binaries.folder.join("initdb"));
    command
        .args(["--data-checksums", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--username", USER])
        .arg("--pgdata")
        .arg(&partial)
        .arg("--pwfile")
        .arg(&secret)
        .env_clear()
        .envs(environment())
        .current_dir("/")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(user) = place.user {
        command.uid(user.uid).gid(user.gid);
    }
    let output = command.output().await;
    std::fs::remove_file(&secret)?;
    let output = output.context("cannot run initdb")?;
    if !output.status.success() {
        bail!("initdb failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    std::fs::rename(&partial, cluster).context("cannot name the new cluster")
}

/// Starts the server, again on another port when somebody took the one that was free.
async fn run(binaries: &Binaries, place: &Place, cluster: &Path, options: &Options<'_>) -> Result<(Child, u16)> {
    let mut attempts = 5;
    loop {
        let port = match options.port {
            Some(port) => port,
            None => free_port()?,
        };
        ensure_free(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        let child = Child::spawn(spec(binaries, place, cluster, options, port)).await?;
        let error = match ready(&child, port, options.password).await {
            Ok(()) => return Ok((child, port)),
            Err(error) => error,
        };
        let log = child.log_tail();
        attempts -= 1;
        if log.contains("\"postmaster.pid\" already exists") {
            return Err(error.context(format!("another Postgres already runs on the folder {}: end it", place.folder.display())));
        }
        if options.port.is_some() || attempts == 0 || !log.contains("Address already in use") {
            return Err(error);
        }
    }
}

fn spec(binaries: &Binaries, place: &Place, cluster: &Path, options: &Options<'_>, port: u16) -> Spec {
    let mut args: Vec<OsString> = vec!["-D".into(), cluster.into()];
    let port = port.to_string();
    let ours = [
        ("listen_addresses", "127.0.0.1"),
        ("port", port.as_str()),
        ("unix_socket_directories", ""),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
    ];
    for (key, value) in ours.iter().chain(options.settings) {
        args.extend(["-c".into(), format!("{key}={value}").into()]);
    }
    Spec {
        name: "Postgres",
        program: binaries.folder.join("postgres"),
        args,
        env: environment(),
        user: place.user,
        cwd: PathBuf::from("/"),
        log: place.folder.join("postgres.log"),
        stop: StopSignal::Interrupt,
        remove_after: options.throw_away.then(|| place.folder.clone()),
    }
}

/// The server's messages are read here, so they must be in English.
fn environment() -> Vec<(OsString, OsString)> {
    vec![("LC_ALL".into(), "C".into())]
}

async fn ready(child: &Child, port: u16, password: &str) -> Result<()> {
    let admin = connect_options(port, password, "postgres");
    let connected = async {
        loop {
            match PgConnection::connect_with(&admin).await {
                Ok(connection) => return connection.close().await.context("Postgres hung up"),
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("28P01") => {
                    bail!("the cluster was made with another password: give that one, or begin anew by removing its folder")
                }
                // Not listening yet, or still in recovery.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::select! {
        biased;
        status = child.wait() => Err(child.early_end(status)),
        result = tokio::time::timeout(READY_WITHIN, connected) => match result {
            Ok(result) => result,
            Err(_) => Err(anyhow!("Postgres did not answer within {} s; log {}:\n{}", READY_WITHIN.as_secs(), child.log().display(), child.log_tail())),
        },
    }
}

fn connect_options(port: u16, password: &str, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port).username(USER).password(password).database(database)
}

async fn create_database(admin: &PgConnectOptions, name: &str) -> Result<()> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        bail!("a database name is made of a-z, 0-9 and _, unlike {name:?}");
    }
    let mut connection = PgConnection::connect_with(admin).await?;
    let row =
        sqlx::query("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)").bind(name).fetch_one(&mut connection).await?;
    if !row.try_get::<bool, _>(0)? {
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE \"{name}\""))).execute(&mut connection).await?;
    }
    connection.close().await?;
    Ok(())
}
