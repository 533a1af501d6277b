//! Keeps what the operator promises: each answer as it came, and the keys that signed it, in a folder of the user's.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use sceau_verifier::promise::answer::{self, Evidence};
use sceau_verifier::promise::judge::judge;
use sceau_verifier::promise::{KeySet, Record};
use sceau_verifier::{Code, Digest};
use serde_json::Value;

use super::super::client::{Client, ClientError};

/// The folder, and what was put there and not looked at yet.
pub struct Keeper {
    folder: PathBuf,
    keys: KeySet,
    fresh: Vec<(PathBuf, Vec<u8>)>,
    /// Numbers that were told so far, by digest.
    numbers: HashMap<Digest, u64>,
}

impl Keeper {
    /// Makes the folder if there is none, and puts the operator's keys there.
    ///
    /// # Errors
    /// When the folder cannot be written, or the API does not answer its keys.
    pub async fn open(folder: &Path, client: &Client) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let keys = fetch(folder, client).await?;
        Ok(Self { folder: folder.into(), keys, fresh: Vec::new(), numbers: HashMap::new() })
    }

    /// Writes an answer down before anything else is made of it. One in which nothing is promised is not evidence.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let promised = value["proofs"].as_array().is_some_and(|items| items.iter().any(|item| item.get("anchor_by").is_some()));
        if !promised && value.get("promise").is_none() {
            return Ok(());
        }
        let numbers = || value["proofs"].as_array().into_iter().flatten().filter_map(|item| item["number"].as_u64());
        let (first, last) = (numbers().min().unwrap_or(0), numbers().max().unwrap_or(0));
        let path = self.folder.join(format!("promise-{first:09}-{last:09}-{:.8}.json", Digest::of(bytes).to_string()));
        write(&path, bytes).map_err(|error| ClientError::Setup(format!("{error:#}")))?;
        self.fresh.push((path, bytes.to_vec()));
        Ok(())
    }

    /// Checks what was written down: signatures, and that numbers are told once and ascend.
    ///
    /// # Errors
    /// Names the file that is not what it should be. It stays: it shows what the operator answered.
    pub async fn check(&mut self, client: &Client) -> anyhow::Result<()> {
        for (path, bytes) in std::mem::take(&mut self.fresh) {
            let alone = |keys: &KeySet| judge(&bytes, keys, None, None, |_, _| unreachable!("there is no receipt to judge by"));
            let mut judgement = alone(&self.keys);
            if judgement.code == Code::PromiseKeyUnknown {
                self.keys = fetch(&self.folder, client).await?;
                judgement = alone(&self.keys);
            }
            let named = || format!("{}: what the operator promises does not hold", path.display());
            ensure!(judgement.code == Code::Ok, "{}: {}: {}", named(), judgement.code, judgement.detail);
            if let Ok(Evidence { records: Some(records), .. }) = answer::read(&bytes) {
                self.count(&records, &bytes).with_context(named)?;
            }
        }
        Ok(())
    }

    fn count(&mut self, records: &[Record], bytes: &[u8]) -> anyhow::Result<()> {
        let value: Value = serde_json::from_slice(bytes)?;
        let items = value["proofs"].as_array().into_iter().flatten().filter(|item| item.get("anchor_by").is_some());
        let mut newest = 0;
        for (record, item) in records.iter().zip(items) {
            let told = *self.numbers.entry(record.digest).or_insert(record.number);
            if told != record.number {
                bail!("{} has number {told}, and {} now", record.digest, record.number);
            }
            if item["created"] == Value::Bool(true) {
                ensure!(record.number > newest, "number {} comes after {newest}", record.number);
                newest = record.number;
            }
        }
        Ok(())
    }
}

async fn fetch(folder: &Path, client: &Client) -> anyhow::Result<KeySet> {
    let bytes = client.keys().await.context("asking for the operator's keys")?;
    let keys = KeySet::parse(&bytes).map_err(|error| anyhow::anyhow!("the operator's keys: {error}"))?;
    write(&folder.join(format!("keys-{:.8}.json", Digest::of(&bytes).to_string())), &bytes)?;
    Ok(keys)
}

/// A file of that name has these bytes already: its name is made of them.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let named = || format!("writing {}", path.display());
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        opened => opened.with_context(named)?,
    };
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.inspect_err(|_| _ = fs::remove_file(path)).with_context(named)
}
