//! Certificates: a proof as an act on paper, with its receipt inside.
//!
//! [`render`] is a pure function: the same [`Certificate`] gives the same bytes, and no clock is read. The result is PDF/A-3a
//! and PDF/UA-1, with the receipt attached byte for byte and uncompressed, where `sceau-verify` finds it (SPEC.md §2.5).

mod act;
pub mod chain;
pub mod language;
mod name;
mod page;
mod words;

use sceau_verifier::{Anchor, BatchHeader, Digest, Receipt};
use time::OffsetDateTime;

pub use self::language::Language;
use self::page::paint::{About, Attachment, pdf};

/// File name of the receipt inside a certificate.
pub const RECEIPT_NAME: &str = "receipt.json";

/// What a certificate is made of.
#[derive(Debug, Clone, Copy)]
pub struct Certificate<'a> {
    /// The language it is written in.
    pub language: Language,
    /// SHA-256 of the document.
    pub digest: &'a Digest,
    /// What the owner called the file.
    pub file_name: Option<&'a str>,
    /// The owner's own reference.
    pub reference: Option<&'a str>,
    /// The owner's name.
    pub owner: &'a str,
    /// When the operator accepted the digest.
    pub received_at: OffsetDateTime,
    /// By when it is promised to be anchored.
    pub anchor_by: OffsetDateTime,
    /// How far the proof is.
    pub stage: Stage<'a>,
    /// EIP-155 ids of the chains it is to be anchored on: while there is no anchor they decide whether this is a test.
    pub chains: &'a [u64],
    /// What validators decided.
    pub decisions: &'a [Decision<'a>],
    /// What the QR code opens.
    pub verify_url: &'a str,
    /// The moment of which the stage is true; not shown once the proof is final.
    pub as_of: OffsetDateTime,
}

/// How far a proof is.
#[derive(Debug, Clone, Copy)]
pub enum Stage<'a> {
    /// Validators have to decide first: so many must approve.
    AwaitingValidation(u32),
    /// A validator refused it.
    Refused,
    /// Accepted into this batch, which is not sealed yet.
    Pending(u64),
    /// Sealed: all the rest is in the receipt, which must be one that verifies.
    Sealed(&'a Receipt),
}

/// A validator's decision.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'a> {
    /// The validator's name.
    pub validator: &'a str,
    /// Whether it approved; it refused otherwise.
    pub approved: bool,
    /// What it said.
    pub comment: Option<&'a str>,
    /// When.
    pub at: OffsetDateTime,
}

/// Why there is no certificate. Every cause is a fault of this program or of what the ledger holds.
#[derive(Debug, thiserror::Error)]
#[error("certificate: {0}")]
pub struct CertificateError(String);

impl<'a> Certificate<'a> {
    fn receipt(&self) -> Option<&'a Receipt> {
        match self.stage {
            Stage::Sealed(receipt) => Some(receipt),
            _ => None,
        }
    }

    /// The anchors that count: those on test networks only where there is no other.
    fn anchors(&self) -> Vec<&'a Anchor> {
        let all: Vec<&Anchor> = self.receipt().map(|receipt| receipt.anchors.iter().collect()).unwrap_or_default();
        let real: Vec<&Anchor> = all.iter().copied().filter(|anchor| !chain::is_test(anchor.chain.id())).collect();
        if real.is_empty() { all } else { real }
    }

    /// The anchor that proves, with the earliest block of those that are final.
    fn proof(&self) -> Option<&'a Anchor> {
        self.anchors().into_iter().filter(|anchor| anchor.evidence.is_some()).min_by_key(|anchor| anchor.block_time)
    }

    /// Whether it proves: some anchor that counts is final.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.proof().is_some()
    }

    /// Whether all of it takes place on test networks.
    #[must_use]
    pub fn is_test(&self) -> bool {
        let anchors = self.anchors();
        if anchors.is_empty() {
            return !self.chains.is_empty() && self.chains.iter().all(|id| chain::is_test(*id));
        }
        anchors.iter().all(|anchor| chain::is_test(anchor.chain.id()))
    }

    /// Whether validators decide, or decided against it: it is not registered.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self.stage, Stage::AwaitingValidation(_) | Stage::Refused)
    }

    /// What the paper is: a certificate, a provisional statement, or the status of what is not registered.
    fn kind(&self) -> usize {
        if self.is_held() { 2 } else { usize::from(!self.is_final()) }
    }

    /// A name for the file, from the document's where it has one.
    #[must_use]
    pub fn file_name(&self) -> String {
        let words = words::of(self.language);
        let kind = words.file[self.kind()];
        let digest = self.digest.to_string();
        let stem = self.file_name.map(name::file_stem).filter(|stem| !stem.is_empty());
        format!("{kind}-{}.pdf", stem.as_deref().unwrap_or(&digest[..16]))
    }
}

/// Makes the PDF.
///
/// # Errors
/// [`CertificateError`] when the batch's header cannot be read, or the PDF would not conform.
pub fn render(certificate: &Certificate<'_>) -> Result<Vec<u8>, CertificateError> {
    let words = words::of(certificate.language);
    let receipt = certificate.receipt();
    let header = receipt.map(|receipt| BatchHeader::parse(&receipt.batch.header)).transpose();
    let header = header.map_err(|failure| CertificateError(failure.to_string()))?;
    let sheet =
        act::compose(certificate, words, header.as_ref()).ok_or_else(|| CertificateError("the QR code is too long".into()))?;
    let digest = certificate.digest.to_string();
    let proven = certificate.proof().and_then(|anchor| i64::try_from(anchor.block_time).ok());
    let proven = proven.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let about = About {
        title: format!("{} — {}", words.titles[certificate.kind()], &digest[..16]),
        language: certificate.language.tag(),
        description: words::fill(words.descriptions[certificate.kind()], &[("digest", &digest)]),
        dated: proven.unwrap_or(certificate.received_at),
        id: format!("sceau-certificate/1 {} {digest}", certificate.language.tag()),
    };
    let attachment =
        receipt.map(|receipt| Attachment { name: RECEIPT_NAME, description: "sceau-receipt/1", bytes: receipt.to_bytes() });
    pdf(sheet, about, attachment).map_err(CertificateError)
}

#[cfg(test)]
mod tests;
