use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use sceau::dev::cert::{Certificate, ensure};
use sceau::ports::{Clock, SystemClock};
use time::{Duration, OffsetDateTime};

use crate::support::crypto;

#[derive(Debug)]
struct Later(Duration);

impl Clock for Later {
    fn now(&self) -> OffsetDateTime {
        SystemClock.now() + self.0
    }
}

/// A whole handshake in memory between a client that trusts `ca` and a server with the certificate.
fn handshake(files: &Certificate, ca: &Path, name: &str) -> Result<(), rustls::Error> {
    crypto();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(client), ServerName::try_from(name.to_owned()).unwrap())?;
    let server = ServerConfig::builder().with_no_client_auth().with_single_cert(
        vec![CertificateDer::from_pem_file(&files.cert).unwrap()],
        PrivateKeyDer::from_pem_file(&files.key).unwrap(),
    )?;
    let mut server = ServerConnection::new(Arc::new(server))?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server.process_new_packets()?;
        bytes.clear();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut bytes.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn a_client_accepts_it_for_this_machine_only() {
    let folder = tempfile::tempdir().unwrap();
    let files = ensure(folder.path(), &SystemClock).unwrap();
    for name in ["localhost", "127.0.0.1", "::1"] {
        handshake(&files, &files.ca, name).unwrap();
    }
    for name in ["example.org", "127.0.0.2", "sub.localhost"] {
        let error = handshake(&files, &files.ca, name).unwrap_err().to_string();
        assert!(error.contains("not valid for name"), "{name}: {error}");
    }
    let other = tempfile::tempdir().unwrap();
    let other = ensure(other.path(), &SystemClock).unwrap();
    handshake(&files, &other.ca, "localhost").unwrap_err();

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files.ca).unwrap()).unwrap();
    let constraints = roots.roots[0].name_constraints.as_deref().expect("an authority for this machine's names only");
    assert!(constraints.windows(9).any(|bytes| bytes == b"localhost"));
}

#[test]
fn it_is_made_once_and_only_its_owner_reads_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let files = ensure(folder.path(), &SystemClock).unwrap();
    let read = || [&files.ca, &files.cert, &files.key].map(|path| std::fs::read(path).unwrap());
    let before = read();
    ensure(folder.path(), &SystemClock).unwrap();
    assert_eq!(read(), before);
    assert_eq!(std::fs::metadata(&files.key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "the authority's key is kept nowhere");
}

#[test]
fn it_is_made_again_before_it_ends_and_when_files_do_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let files = ensure(folder.path(), &SystemClock).unwrap();
    let cert = || std::fs::read(&files.cert).unwrap();

    let first = cert();
    ensure(folder.path(), &Later(Duration::days(360))).unwrap();
    assert_eq!(cert(), first);
    ensure(folder.path(), &Later(Duration::days(370))).unwrap();
    assert_ne!(cert(), first);

    // Made for the future, so not valid yet.
    let second = cert();
    ensure(folder.path(), &Later(Duration::days(350))).unwrap();
    assert_ne!(cert(), second);
    ensure(folder.path(), &SystemClock).unwrap();

    for path in [&files.ca, &files.cert, &files.key] {
        let other = tempfile::tempdir().unwrap();
        let other = ensure(other.path(), &SystemClock).unwrap();
        let theirs = other.ca.with_file_name(path.file_name().unwrap());
        for damage in [std::fs::read(theirs).unwrap(), b"no PEM".to_vec(), Vec::new()] {
            std::fs::write(path, damage).unwrap();
            ensure(folder.path(), &SystemClock).unwrap();
            handshake(&files, &files.ca, "localhost").unwrap();
        }
    }
}
