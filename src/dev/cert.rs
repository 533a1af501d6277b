//! A certificate for `https://localhost`, signed by a local authority that can sign nothing else.

use std::fs::{self, File};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use time::Duration;

use crate::ports::Clock;

/// Browsers and Apple's libraries refuse leaves that live longer than 398 days, local ones less strictly.
const LIFE: Duration = Duration::days(397);
/// A certificate that ends sooner than this is made again.
const RENEW_BEFORE: Duration = Duration::days(30);
/// Clocks of other machines (a container's host) may be a little behind.
const BACKDATED: Duration = Duration::hours(1);

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The authority's certificate: what a client has to trust. Its key was thrown away.
    pub ca: PathBuf,
    /// The server's certificate, for `localhost`, `127.0.0.1` and `::1`.
    pub cert: PathBuf,
    /// The server's private key, PKCS #8, mode 0600.
    pub key: PathBuf,
}

/// The certificate in `folder`: the one that is there, or a new one when there is none, it ends within thirty days, or
/// its files do not belong together. A new one has a new authority, which clients must be told to trust again.
///
/// # Errors
/// When the files cannot be written.
pub fn ensure(folder: &Path, clock: &dyn Clock) -> Result<Certificate> {
    let files = Certificate { ca: folder.join("ca.pem"), cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    if files.is_good(clock).is_err() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        files.make(clock)?;
        files.is_good(clock).context("the new certificate does not verify")?;
    }
    Ok(files)
}

impl Certificate {
    /// Verifies as a client would, today and when it is time for another.
    fn is_good(&self, clock: &dyn Clock) -> Result<()> {
        let provider = Arc::new(ring::default_provider());
        let leaf = CertificateDer::from_pem_file(&self.cert)?;
        let key = PrivateKeyDer::from_pem_file(&self.key)?;
        CertifiedKey::from_der(vec![leaf.clone()], key, &provider)?.keys_match()?;

        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.ca)?)?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
        for moment in [clock.now(), clock.now() + RENEW_BEFORE] {
            let moment = UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(moment.unix_timestamp())?));
            verifier.verify_server_cert(&leaf, &[], &ServerName::try_from("localhost")?, &[], moment)?;
        }
        Ok(())
    }

    fn make(&self, clock: &dyn Clock) -> Result<()> {
        let addresses = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        let (not_before, not_after) = (clock.now() - BACKDATED, clock.now() + LIFE);

        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "Sceau local authority (this machine only)");
        (ca.not_before, ca.not_after) = (not_before, not_after);
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let mut permitted = vec![GeneralSubtree::DnsName("localhost".to_owned())];
        permitted.extend(addresses.map(|address| {
            GeneralSubtree::IpAddress(match address {
                IpAddr::V4(address) => CidrSubnet::V4(address.octets(), [0xff; 4]),
                IpAddr::V6(address) => CidrSubnet::V6(address.octets(), [0xff; 16]),
            })
        }));
        ca.name_constraints = Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: Vec::new() });
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;

        let mut leaf = CertificateParams::new(vec!["localhost".to_owned()])?;
        leaf.subject_alt_names.extend(addresses.map(SanType::IpAddress));
        leaf.distinguished_name.push(DnType::CommonName, "localhost");
        (leaf.not_before, leaf.not_after) = (not_before, not_after);
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let cert = leaf.signed_by(&key, &ca)?;

        // Any two of different generations do not verify together, so a crash in between only makes them once more.
        write(&self.key, &key.serialize_pem(), 0o600)?;
        write(&self.cert, &cert.pem(), 0o644)?;
        write(&self.ca, &ca.as_ref().pem(), 0o644)
    }
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let partial = path.with_extension("partial");
    let write = || {
        // Left by a crash, perhaps with another mode.
        let _ = fs::remove_file(&partial);
        let mut file = File::options().write(true).create_new(true).mode(mode).open(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
