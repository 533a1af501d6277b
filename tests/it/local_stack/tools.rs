use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use sceau::dev::tools::{ensure, pinned_version, repository};

/// A package that needs no registry: npm installs the archive beside it.
fn workspace(folder: &Path) {
    std::fs::create_dir(folder.join("tool")).unwrap();
    std::fs::write(folder.join("tool/package.json"), r#"{ "name": "tool", "version": "1.2.3" }"#).unwrap();
    let pack = Command::new("npm").args(["pack", "./tool"]).current_dir(folder).output().unwrap();
    assert!(pack.status.success(), "{pack:?}");
    let dependency = r#""dependencies": { "tool": "file:tool-1.2.3.tgz" }"#;
    std::fs::write(folder.join("package.json"), format!(r#"{{ "private": true, {dependency} }}"#)).unwrap();
    let lock = format!(
        r#"{{ "lockfileVersion": 3, "requires": true, "packages": {{ "": {{ {dependency} }},
            "node_modules/tool": {{ "version": "1.2.3", "resolved": "file:tool-1.2.3.tgz" }} }} }}"#
    );
    std::fs::write(folder.join("package-lock.json"), lock).unwrap();
}

#[tokio::test]
async fn two_at_once_install_once_and_later_starts_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    workspace(folder.path());
    let lines = Mutex::new(Vec::new());
    let tell = |line: &str| lines.lock().unwrap().push(line.to_owned());
    let (one, two) = tokio::join!(ensure(folder.path(), "tool", &tell), ensure(folder.path(), "tool", &tell));
    assert_eq!(one.unwrap(), two.unwrap());
    ensure(folder.path(), "tool", &tell).await.unwrap();
    let lines = lines.into_inner().unwrap();
    assert_eq!(lines.iter().filter(|line| line.as_str() == "installing tool 1.2.3").count(), 1, "{lines:?}");
}

#[tokio::test]
async fn an_unfinished_installation_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    workspace(folder.path());
    std::fs::create_dir_all(folder.path().join("node_modules/tool")).unwrap();
    let path = ensure(folder.path(), "tool", &|_| {}).await.unwrap();
    assert!(path.join("package.json").exists());
}

#[tokio::test]
async fn a_package_the_lock_does_not_pin_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    workspace(folder.path());
    let error = ensure(folder.path(), "other", &|_| {}).await.unwrap_err().to_string();
    assert!(error.contains("does not pin other"), "{error}");
}

#[test]
fn the_repository_pins_what_the_local_stack_needs() {
    let anvil = repository().unwrap().join("anvil");
    for platform in ["linux-amd64", "linux-arm64", "darwin-arm64", "darwin-amd64"] {
        pinned_version(&anvil, &format!("@foundry-rs/anvil-{platform}")).unwrap();
    }
    for platform in ["linux-x64", "linux-arm64", "darwin-arm64", "darwin-x64"] {
        pinned_version(&anvil.join("postgres"), &format!("@embedded-postgres/{platform}")).unwrap();
    }
}
