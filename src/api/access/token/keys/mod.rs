//! The Ed25519 keys of access tokens, and which of them signs.

mod key;

use std::fmt;
use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};
use time::OffsetDateTime;

pub use self::key::Key;
use self::key::{parsed, public_keys};

/// A key of a folder signs so many seconds after its file was written: by then every instance has read it, and whoever
/// keeps the public keys for the five minutes that they are allowed has asked again.
pub const LEAD: i64 = 330;

/// All keys are good for checking; one of them signs.
pub struct Keys {
    keys: Vec<Key>,
    /// Public halves of keys that neither sign nor check tokens any more: promises by them are still checked by others.
    retired: Vec<Value>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

impl Keys {
    /// Reads a PEM file, whose first key signs while further ones only check; or a folder of them (`*.pem`), where the
    /// newest file's key signs once it is [`LEAD`] seconds old. Files `*.pub.pem` hold public keys, which are only shown.
    ///
    /// # Errors
    /// Names the file, never what it holds.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let named = || path.display().to_string();
        if !path.is_dir() {
            return Self::from_pem(&std::fs::read(path).with_context(named)?).with_context(named);
        }
        let (mut files, mut retired) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(path).with_context(named)? {
            let file = entry.with_context(named)?.path();
            let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            let public = file.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(b".pub.pem"));
            if public && !hidden {
                retired.push(file);
            } else if !hidden && file.extension().is_some_and(|extension| extension == "pem") {
                let written = file.metadata().and_then(|about| about.modified()).with_context(|| file.display().to_string())?;
                files.push((OffsetDateTime::from(written).unix_timestamp(), file));
            }
        }
        files.sort();
        let mut keys: Vec<Key> = Vec::new();
        for (since, file) in files {
            let named = || file.display().to_string();
            for key in parsed(&std::fs::read(&file).with_context(named)?, since).with_context(named)? {
                if keys.iter().all(|other| other.id != key.id) {
                    keys.push(key);
                }
            }
        }
        anyhow::ensure!(!keys.is_empty(), "{}: no key in a file *.pem", path.display());
        retired.sort();
        let mut shown: Vec<Value> = Vec::new();
        for file in retired {
            let named = || file.display().to_string();
            for public in public_keys(&std::fs::read(&file).with_context(named)?).with_context(named)? {
                if keys.iter().all(|key| key.public != public) && !shown.contains(&public) {
                    shown.push(public);
                }
            }
        }
        Ok(Self { keys, retired: shown })
    }

    /// The keys of one file's bytes: the first signs.
    ///
    /// # Errors
    /// When there is no Ed25519 private key in PKCS#8 PEM.
    pub fn from_pem(pem: &[u8]) -> anyhow::Result<Self> {
        Ok(Self { keys: parsed(pem, i64::MAX)?, retired: Vec::new() })
    }

    /// The key that signs now: the newest that is old enough, and while none is, the oldest. Every instance that has the
    /// same files says the same.
    ///
    /// # Panics
    /// Never: there is at least one key.
    #[must_use]
    pub fn signing(&self, now: OffsetDateTime) -> &Key {
        let ready = |key: &&Key| key.since.saturating_add(LEAD) <= now.unix_timestamp();
        self.keys.iter().rev().find(ready).unwrap_or(&self.keys[0])
    }

    /// The key of that id.
    #[must_use]
    pub fn named(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// Whether both are the same, in the same order and of the same age.
    #[must_use]
    pub fn are(&self, other: &Self) -> bool {
        let said = |keys: &Self| keys.keys.iter().map(|key| (key.id.clone(), key.since)).collect::<Vec<_>>();
        said(self) == said(other) && self.retired == other.retired
    }

    /// The public keys (RFC 7517), those of today first.
    #[must_use]
    pub fn public(&self) -> Value {
        json!({ "keys": self.keys.iter().map(|key| &key.public).chain(&self.retired).collect::<Vec<_>>() })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// RFC 8410 §10.3: the same key without and with its public half.
    const PLAIN: &[u8] =
        b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    const WITH_PUBLIC: &[u8] = b"-----BEGIN PRIVATE KEY-----\nMHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\noB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\nZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PRIVATE KEY-----\n";

    #[test]
    fn both_forms_of_pkcs8_are_the_same_key() {
        let (plain, with_public) = (Keys::from_pem(PLAIN).unwrap(), Keys::from_pem(WITH_PUBLIC).unwrap());
        assert_eq!(plain.public(), with_public.public());
        assert_eq!(plain.public()["keys"][0]["x"], "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE");
    }

    #[test]
    fn other_keys_are_refused() {
        for pem in [&b""[..], b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"no key"] {
            assert!(Keys::from_pem(pem).is_err());
        }
    }

    /// PKCS#8 of the key whose 32 bytes are all `byte`.
    pub(in crate::api::access::token) fn pem(byte: u8) -> String {
        use base64::Engine;
        let der = [&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20][..], &[byte; 32]].concat();
        format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            base64::engine::general_purpose::STANDARD.encode(der)
        )
    }

    fn id(byte: u8) -> String {
        Keys::from_pem(pem(byte).as_bytes()).unwrap().keys[0].id.clone()
    }

    #[test]
    fn the_first_key_of_a_file_signs() {
        let keys = Keys::from_pem(format!("{}{}", pem(2), pem(1)).as_bytes()).unwrap();
        for now in [OffsetDateTime::UNIX_EPOCH, time::macros::datetime!(2026-11-22 0:00 UTC)] {
            assert_eq!(keys.signing(now).id, id(2));
        }
        assert!(keys.named(&id(1)).is_some() && keys.named(&id(3)).is_none());
    }

    #[test]
    fn a_retired_key_is_shown_and_does_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("new.pem"), pem(1)).unwrap();
        // RFC 8410 §10.1, whose private half is that of §10.3.
        let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        std::fs::write(folder.path().join("old.pub.pem"), public).unwrap();
        let keys = Keys::read(folder.path()).unwrap();
        let old = Keys::from_pem(PLAIN).unwrap();
        assert_eq!(keys.public()["keys"][1], old.public()["keys"][0], "shown as it was while it signed");
        assert_eq!(keys.public()["keys"].as_array().unwrap().len(), 2);
        assert!(keys.named(&old.keys[0].id).is_none(), "no token is checked by it");
        assert_eq!(keys.signing(OffsetDateTime::UNIX_EPOCH).id, id(1));
        // Beside its private half it is the same key.
        std::fs::write(folder.path().join("old.pem"), PLAIN).unwrap();
        assert_eq!(Keys::read(folder.path()).unwrap().public()["keys"].as_array().unwrap().len(), 2);
        std::fs::write(folder.path().join("bad.pub.pem"), pem(3)).unwrap();
        assert!(format!("{:#}", Keys::read(folder.path()).unwrap_err()).contains("bad.pub.pem"));
    }

    #[test]
    fn the_newest_file_of_a_folder_signs_when_it_is_old_enough() {
        let folder = tempfile::tempdir().unwrap();
        assert!(format!("{:#}", Keys::read(folder.path()).unwrap_err()).contains("no key in a file *.pem"));
        let begun = time::macros::datetime!(2026-11-22 06:00 UTC);
        let write = |name: &str, byte: u8, written: OffsetDateTime| {
            let path = folder.path().join(name);
            std::fs::write(&path, pem(byte)).unwrap();
            std::fs::File::options().write(true).open(path).unwrap().set_modified(written.into()).unwrap();
        };
        let signs = |now: OffsetDateTime| Keys::read(folder.path()).unwrap().signing(now).id.clone();
        write("z.pem", 1, begun);
        write(".hidden.pem", 9, begun);
        write("readme.txt", 9, begun);
        assert_eq!(signs(begun), id(1), "the only one signs at once");
        let later = begun + time::Duration::HOUR;
        write("a.pem", 2, later);
        let lead = time::Duration::seconds(LEAD);
        assert_eq!(signs(later), id(1));
        assert_eq!(signs(later + lead - time::Duration::SECOND), id(1));
        assert_eq!(signs(later + lead), id(2));
        let both = Keys::read(folder.path()).unwrap();
        assert!(both.named(&id(1)).is_some() && both.named(&id(2)).is_some() && both.named(&id(9)).is_none());
        std::fs::remove_file(folder.path().join("z.pem")).unwrap();
        assert_eq!(signs(later), id(2), "when the old one is gone the new one signs whatever its age");
        std::fs::write(folder.path().join("b.pem"), "half of a k").unwrap();
        assert!(format!("{:#}", Keys::read(folder.path()).unwrap_err()).contains("b.pem"));
    }
}
