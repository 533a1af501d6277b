//! The receipt inside a certificate (SPEC.md §2.5): found by its mark, without reading the PDF around it.

use std::fmt;

use crate::receipt::MAX_BYTES;

/// A certificate may not be longer than this, in bytes.
pub const MAX_PDF_BYTES: usize = 16 << 20;

/// How the attached receipt begins.
const BEGIN: &[u8] = b"{\"format\":\"sceau-receipt/1\",";

/// Why no receipt was taken out of a PDF. There is no verdict then: the file does not say what is to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoReceipt {
    /// Longer than [`MAX_PDF_BYTES`].
    TooLong,
    /// None is attached as Sceau attaches one.
    None,
    /// More than one is: which of them the PDF shows to its readers cannot be told.
    Several,
    /// One begins, but does not end within its stream or within the size of a receipt.
    Open,
}

impl fmt::Display for NoReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "a PDF of more than 16 MiB is not read",
            Self::None => {
                "the PDF has no receipt as a certificate has it: it is a provisional statement, or was written anew by another \
                 program; if a PDF reader finds receipt.json in it, give that file instead"
            }
            Self::Several => "the PDF has several receipts: which one it shows cannot be told",
            Self::Open => "the receipt in the PDF does not end",
        })
    }
}

impl std::error::Error for NoReceipt {}

/// Whether the bytes begin as a PDF does. No receipt does.
#[must_use]
pub fn is_pdf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"%PDF-")
}

/// The bytes of the one receipt in a certificate. They are not looked into: [`crate::receipt::parse`] does that.
///
/// One pass over the bytes, without allocation.
///
/// # Errors
/// [`NoReceipt`].
pub fn receipt(pdf: &[u8]) -> Result<&[u8], NoReceipt> {
    if pdf.len() > MAX_PDF_BYTES {
        return Err(NoReceipt::TooLong);
    }
    let mut found = None;
    let mut at = 0;
    while let Some(next) = find(&pdf[at..], BEGIN) {
        let start = at + next;
        // A receipt nested in another one, or quoted in a text, does not begin a stream.
        if pdf[..start].ends_with(b"stream\n") || pdf[..start].ends_with(b"stream\r\n") {
            if found.is_some() {
                return Err(NoReceipt::Several);
            }
            found = Some(start);
        }
        at = start + BEGIN.len();
    }
    let rest = &pdf[found.ok_or(NoReceipt::None)?..];
    // The canonical bytes have no line end inside.
    let end = rest.iter().take(MAX_BYTES + 1).position(|byte| matches!(byte, b'\n' | b'\r')).ok_or(NoReceipt::Open)?;
    let (receipt, after) = rest.split_at(end);
    let after = after.strip_prefix(b"\r").unwrap_or(after);
    let after = after.strip_prefix(b"\n").unwrap_or(after);
    if after.starts_with(b"endstream") { Ok(receipt) } else { Err(NoReceipt::Open) }
}

/// First place of `needle`; each byte of `bytes` is looked at a bounded number of times.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut at = 0;
    while let Some(next) = bytes[at..].iter().position(|byte| *byte == first) {
        at += next;
        if bytes[at..].starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
    None
}
