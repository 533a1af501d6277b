//! The certificate: read at start, and again when its files change.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Tls;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(60);

/// What the listener shows, and the files it comes from.
#[derive(Debug)]
pub struct Certificate {
    files: Tls,
    shown: [Vec<u8>; 2],
    config: RustlsConfig,
}

impl Certificate {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// Names the file that is missing or not what it should be.
    pub fn load(files: &Tls) -> anyhow::Result<Self> {
        let shown = contents(files)?;
        let config = RustlsConfig::from_config(Arc::new(config(files, &shown)?));
        Ok(Self { files: files.clone(), shown, config })
    }

    /// For the acceptor; it follows when the certificate is renewed.
    pub fn config(&self) -> RustlsConfig {
        self.config.clone()
    }

    /// Never ends: shows renewed files to connections that come after. Files that do not fit together (one is written,
    /// the other not yet) are left until the next look.
    pub async fn follow(mut self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let renewed = contents(&self.files).and_then(|found| {
                if found == self.shown {
                    return Ok(None);
                }
                Ok(Some((config(&self.files, &found)?, found)))
            });
            match renewed {
                Ok(None) => {}
                Ok(Some((config, found))) => {
                    self.config.reload_from_config(Arc::new(config));
                    self.shown = found;
                    tracing::info!("the certificate was renewed");
                }
                Err(error) => tracing::warn!(error = format!("{error:#}"), "the certificate files changed, but cannot be used"),
            }
        }
    }
}

fn contents(files: &Tls) -> anyhow::Result<[Vec<u8>; 2]> {
    let read = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
    Ok([read(&files.cert)?, read(&files.key)?])
}

fn config(files: &Tls, [cert, key]: &[Vec<u8>; 2]) -> anyhow::Result<ServerConfig> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(cert).collect::<Result<_, _>>().with_context(|| files.cert.display().to_string())?;
    anyhow::ensure!(!chain.is_empty(), "{}: no certificate in PEM", files.cert.display());
    // The error is not passed on: it may quote the file.
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|_| anyhow::anyhow!("{}: no private key in PEM", files.key.display()))?;
    // The provider is named: two in one binary make rustls ask which, by a panic.
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| format!("{} and {} do not fit together", files.cert.display(), files.key.display()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
