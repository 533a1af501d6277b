//! SHA-256 values and salts, spelled as lower-case hex without a prefix.

use sha2::{Digest as _, Sha256};

pub use crate::hex::HexError;
use crate::hex::fixed_hex;

fixed_hex! {
    /// A SHA-256 value: a document's digest, a leaf, a node or a root. Printed as 64 lower-case hex digits.
    Digest, 32, "", "64 lower-case hex digits"
}

fixed_hex! {
    /// The 16 random bytes drawn for one entry when it was accepted. Printed as 32 lower-case hex digits.
    Salt, 16, "", "32 lower-case hex digits"
}

impl Digest {
    /// SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from(<[u8; 32]>::from(Sha256::digest(bytes)))
    }

    /// SHA-256 of a whole stream, read in blocks of 64 KiB, so the size of a document does not matter.
    ///
    /// # Errors
    /// Whatever the reader reports.
    pub fn of_reader(reader: &mut (impl std::io::Read + ?Sized)) -> std::io::Result<Self> {
        let mut hasher = Sha256::new();
        let mut block = vec![0; 64 * 1024];
        loop {
            match reader.read(&mut block) {
                Ok(0) => return Ok(Self::from(<[u8; 32]>::from(hasher.finalize()))),
                Ok(read) => hasher.update(&block[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
