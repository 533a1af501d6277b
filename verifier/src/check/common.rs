//! What the receipts of a batch have in common, checked and printed once.

use super::passed::Passed;
use super::verdict::{Code, Failure};
use super::verify::check_own_structure;
use crate::path::{self, PathError};
use crate::receipt::{self, Document, EntryPosition, MAX_INTEGER, Receipt, TreePosition};
use crate::{Digest, Entry};

/// The part of a batch's receipts that is the same in all of them: size and root of the tree, the batch with its header's path, the
/// anchors. Steps 3, 4, 6 and 8 to 17 depend on nothing else and have passed; what is left for a receipt is its own entry.
#[derive(Clone, Debug)]
pub struct Common {
    size: u64,
    root: Digest,
    tail: Vec<u8>,
}

impl Common {
    /// Of any receipt of the batch. Its decisions are its own: they are no part of this.
    ///
    /// # Errors
    /// The first of the steps 1, 3 to 6 and 8 to 17 that does not pass.
    pub fn of(receipt: &Receipt, passed: Option<&Passed>) -> Result<Self, Failure> {
        receipt.check_ranges()?;
        check_own_structure(receipt, passed)?;
        let tail = receipt::print_tail(&receipt.batch, &receipt.anchors, &[]);
        Ok(Self { size: receipt.tree.size, root: receipt.tree.root, tail })
    }

    /// Leaves of the tree.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree.
    #[must_use]
    pub const fn root(&self) -> &Digest {
        &self.root
    }

    /// The second of [`Receipt::to_parts`].
    #[must_use]
    pub fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// The first of [`Receipt::to_parts`] for the entry at this index, with room for the second. Together they are the canonical bytes of
    /// a receipt that passes [`check_structure`](super::verify::check_structure).
    ///
    /// # Errors
    /// Step 1 for the index, and step 5.
    pub fn head(&self, entry: &Entry, index: u64, path: Vec<Digest>) -> Result<Vec<u8>, Failure> {
        if !(1..=MAX_INTEGER).contains(&index) {
            return Err(Failure::new(Code::ReceiptMalformed, "entry.index is out of range"));
        }
        let because = |error: PathError| Failure::new(Code::EntryNotIncluded, &error.to_string());
        path::verify(&entry.leaf(), index, self.size, &path, &self.root).map_err(because)?;
        let tree = TreePosition { size: self.size, root: self.root, path };
        let mut head = receipt::print_head(&Document { digest: entry.digest }, &EntryPosition { salt: entry.salt, index }, &tree);
        head.reserve_exact(self.tail.len());
        Ok(head)
    }
}
