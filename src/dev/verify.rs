//! Asking the independent verifier, as an auditor would: another program, given a file, a receipt and a node.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::folder::DevJson;
use super::tools;

/// The program `sceau-verify`.
#[derive(Debug, Clone)]
pub struct Verifier {
    program: PathBuf,
}

/// What it said of one file.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Exit status 0.
    pub verified: bool,
    /// Everything it printed.
    pub text: String,
}

fn is_of_our_package(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    [&b"CARGO_PKG_"[..], b"CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix))
}

impl Verifier {
    /// Finds the program beside this one, built anew when cargo started us.
    ///
    /// # Errors
    /// When it is not there and cannot be built; names the command that does.
    pub async fn find(progress: tools::Progress<'_>) -> Result<Self> {
        let ours = std::env::current_exe().context("this program's own path")?;
        let program = ours.with_file_name("sceau-verify");
        if let Some(cargo) = std::env::var_os("CARGO") {
            progress("building the independent verifier");
            let mut build = Command::new(cargo);
            // Of all default packages, so that the dependencies built for this program serve that one too.
            build.args(["build", "--quiet", "--bin", "sceau-verify", "--manifest-path"]);
            build.arg(tools::repository()?.join("Cargo.toml"));
            if !cfg!(debug_assertions) {
                build.arg("--release");
            }
            // What `cargo run` tells its program of itself. Build scripts that ask for it would run again, now and at the next
            // `cargo run`, and with them half of all dependencies would be built anew.
            for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_our_package(name)) {
                build.env_remove(name);
            }
            let built = build.stdin(Stdio::null()).output().await.context("starting cargo")?;
            if !built.status.success() {
                bail!("building sceau-verify failed: {}", String::from_utf8_lossy(&built.stderr).trim());
            }
        }
        if !program.is_file() {
            bail!("{} is missing; build it with `cargo build --release --bin sceau-verify`", program.display());
        }
        Ok(Self { program })
    }

    /// Checks one file against its receipt and the chain itself.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub async fn ask(&self, file: &Path, receipt: &Path, told: &DevJson) -> Result<Answer> {
        let output = Command::new(&self.program)
            .arg(file)
            .arg(receipt)
            .args(["--rpc", &told.rpc_url, "--registry", &told.registry, "--chain", &format!("eip155:{}", told.chain_id)])
            .stdin(Stdio::null())
            .output()
            .await
            .with_context(|| format!("starting {}", self.program.display()))?;
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok(Answer { verified: output.status.success(), text: text.trim_end().into() })
    }
}
