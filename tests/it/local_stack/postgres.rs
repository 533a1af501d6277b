use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use sceau::dev::host::is_root;
use sceau::dev::postgres::{NEWEST, Options, Postgres, pinned_binaries, start};
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};

use crate::support::process::{alive, signal};
use crate::support::{database, progress};

fn options(data: &Path) -> Options<'_> {
    Options { data, port: None, database: "kept", password: "correct horse", binaries: None, settings: &[], throw_away: false }
}

async fn ask(postgres: &Postgres, statement: &'static str) -> String {
    let mut connection = PgConnection::connect(&postgres.url).await.unwrap();
    let row = sqlx::query(statement).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    row.get(0)
}

async fn execute(postgres: &Postgres, statement: &'static str) {
    let mut connection = PgConnection::connect(&postgres.url).await.unwrap();
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn it_is_durable_checked_and_on_loopback_only() {
    let folder = tempfile::tempdir().unwrap();
    let postgres = start(options(folder.path()), &progress).await.unwrap();
    for (setting, value) in [
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
    ] {
        let mut connection = PgConnection::connect(&postgres.url).await.unwrap();
        let row = sqlx::query("SELECT current_setting($1)").bind(setting).fetch_one(&mut connection).await.unwrap();
        assert_eq!(row.get::<String, _>(0), value, "{setting}");
    }
    assert!(!format!("{postgres:?}").contains("correct"), "the password shows");
    postgres.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_the_data_even_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(options(folder.path()), &progress).await.unwrap();
    execute(&first, "CREATE TABLE t (v text); INSERT INTO t VALUES ('kept')").await;
    first.stop().await;

    let second = start(options(folder.path()), &progress).await.unwrap();
    assert_eq!(ask(&second, "SELECT v FROM t").await, "kept");
    execute(&second, "UPDATE t SET v = 'committed'").await;
    signal(second.child.pid(), "KILL");
    second.child.wait().await;
    drop(second);

    let third = start(options(folder.path()), &progress).await.unwrap();
    assert_eq!(ask(&third, "SELECT v FROM t").await, "committed");
    third.stop().await;
}

#[tokio::test]
async fn a_second_start_on_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(options(folder.path()), &progress).await.unwrap();
    let error = start(options(folder.path()), &progress).await.unwrap_err().to_string();
    assert!(error.contains("already runs on the folder"), "{error}");
    assert_eq!(ask(&first, "SELECT 'still here'").await, "still here");
    first.stop().await;
}

#[tokio::test]
async fn a_restart_waits_for_the_server_of_a_killed_owner() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(options(folder.path()), &progress).await.unwrap();
    let pid = first.child.pid();
    // Dropped, it is still ending when the next start comes.
    drop(first);
    let second = start(options(folder.path()), &progress).await.unwrap();
    assert!(!alive(pid) && alive(second.child.pid()));
    second.stop().await;
}

#[tokio::test]
async fn another_password_and_another_version_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    start(options(folder.path()), &progress).await.unwrap().stop().await;
    let error = start(Options { password: "wrong", ..options(folder.path()) }, &progress).await.unwrap_err().to_string();
    assert!(error.contains("another password") && !error.contains("wrong"), "{error}");

    let cluster = folder.path().canonicalize().unwrap().join("cluster");
    std::fs::write(cluster.join("PG_VERSION"), "14\n").unwrap();
    let error = start(options(folder.path()), &progress).await.unwrap_err().to_string();
    assert!(error.contains("made by Postgres 14") && error.contains("rm -r"), "{error}");
}

#[tokio::test]
async fn an_interrupted_initdb_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("cluster.partial/base")).unwrap();
    let postgres = start(options(folder.path()), &progress).await.unwrap();
    assert!(!folder.path().join("cluster.partial").exists() && !folder.path().join("password.partial").exists());
    postgres.stop().await;
}

#[tokio::test]
async fn a_free_port_lost_to_another_is_no_failure_but_a_given_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = start(Options { port: Some(port), ..options(folder.path()) }, &progress).await.unwrap_err().to_string();
    assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
}

#[tokio::test]
async fn each_test_has_a_database_of_its_own_and_leaves_none() {
    let (one, two) = tokio::join!(database(), database());
    assert_ne!(one.name, two.name);
    sqlx::raw_sql("CREATE TABLE only_here ()").execute(&one.pool).await.unwrap();
    let row = sqlx::query("SELECT to_regclass('only_here')::text").fetch_one(&two.pool).await.unwrap();
    assert_eq!(row.get::<Option<String>, _>(0), None);
    let name = one.name.clone();
    drop(one);
    for _ in 0..600 {
        let query = sqlx::query("SELECT count(*) FROM pg_database WHERE datname = $1").bind(&name);
        if query.fetch_one(&two.pool).await.unwrap().get::<i64, _>(0) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{name} is still there");
}

#[tokio::test]
async fn the_pinned_binaries_run_and_an_older_cluster_is_not_given_to_them() {
    // A library without its link, as npm leaves it.
    let native = pinned_binaries(&progress).await.unwrap().parent().unwrap().to_owned();
    let links = std::fs::read(native.join("pg-symlinks.json")).unwrap();
    let links: Vec<serde_json::Value> = serde_json::from_slice(&links).unwrap();
    let link = native.parent().unwrap().join(links[0]["target"].as_str().unwrap());
    std::fs::remove_file(&link).unwrap();
    let binaries = pinned_binaries(&progress).await.unwrap();
    assert!(link.exists());
    let folder = tempfile::tempdir().unwrap();
    let mine = || Options { binaries: Some(&binaries), ..options(folder.path()) };
    let postgres = start(mine(), &progress).await.unwrap();
    assert_eq!(postgres.major, NEWEST);
    assert!(ask(&postgres, "SELECT version()").await.starts_with("PostgreSQL 18."));
    postgres.stop().await;
    // Found again by the cluster's version, though the system may have another.
    let postgres = start(options(folder.path()), &progress).await.unwrap();
    assert_eq!(postgres.major, NEWEST);
    postgres.stop().await;

    let cluster = folder.path().join("cluster");
    std::fs::write(cluster.join("PG_VERSION"), "15\n").unwrap();
    let error = start(mine(), &progress).await.unwrap_err().to_string();
    assert!(error.contains("made by Postgres 15"), "{error}");
}

#[tokio::test]
async fn data_the_server_cannot_reach_lies_elsewhere_and_a_note_says_where() {
    // As root's home often is: closed to the user who runs Postgres for root.
    let parent = tempfile::tempdir().unwrap();
    std::fs::set_permissions(parent.path(), Permissions::from_mode(0o700)).unwrap();
    let data = parent.path().join("data");
    let postgres = start(options(&data), &progress).await.unwrap();
    execute(&postgres, "CREATE TABLE t (v text); INSERT INTO t VALUES ('kept')").await;
    assert_eq!(postgres.notes.len(), usize::from(is_root().unwrap()), "{:?}", postgres.notes);
    postgres.stop().await;

    let real = data.canonicalize().unwrap();
    let postgres = start(options(&data), &progress).await.unwrap();
    assert_eq!(ask(&postgres, "SELECT v FROM t").await, "kept");
    postgres.stop().await;
    std::fs::remove_dir_all(real).unwrap();
}
