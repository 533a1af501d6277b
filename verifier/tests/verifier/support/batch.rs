//! Batches sealed as an operator seals them.

use sceau_verifier::receipt::{Batch, Document, EntryPosition, Format, Receipt, TreePosition};
use sceau_verifier::{Anchor, BatchHeader, Digest, Entry, Salt, Tree};

/// A sealed batch: its header, its entries in leaf order, its tree.
pub struct Sealed {
    pub header: BatchHeader,
    pub entries: Vec<Entry>,
    pub tree: Tree,
}

pub fn document(number: u64) -> Digest {
    Digest::of(format!("document {number}").as_bytes())
}

/// The entry of document `n` of batch `number`, with a fixed salt.
pub fn entry(number: u64, n: u64) -> Entry {
    let salt = Digest::of(format!("salt {number} {n}").as_bytes());
    Entry { digest: document(n), salt: Salt::try_from(&salt.as_bytes()[..16]).unwrap() }
}

/// A batch of `count` documents with fixed salts.
pub fn seal(number: u64, count: u64) -> Sealed {
    seal_entries(number, (0..count).map(|n| entry(number, n)).collect())
}

/// A batch of these entries.
pub fn seal_entries(number: u64, mut entries: Vec<Entry>) -> Sealed {
    entries.sort_by_key(Entry::leaf);
    let header = BatchHeader {
        origin: "sceau.example/eu-1".into(),
        number,
        previous_root: Digest::of(b"the batch before"),
        sealed_at: 1_789_999_900,
        count: entries.len() as u64,
    };
    let leaves = std::iter::once(header.leaf()).chain(entries.iter().map(Entry::leaf)).map(Into::into).collect();
    Sealed { header, entries, tree: Tree::from_leaves(leaves) }
}

impl Sealed {
    /// The receipt of the entry at leaf `index`.
    pub fn receipt(&self, index: u64, anchors: Vec<Anchor>) -> Receipt {
        let entry = self.entries[index as usize - 1];
        Receipt {
            format: Format::V1,
            document: Document { digest: entry.digest },
            entry: EntryPosition { salt: entry.salt, index },
            tree: TreePosition { size: self.tree.size(), root: self.tree.root(), path: self.tree.path(index).unwrap() },
            batch: Batch { number: self.header.number, header: self.header.to_string(), path: self.tree.path(0).unwrap() },
            anchors,
            decisions: Vec::new(),
        }
    }

    /// The receipt of the document with this digest.
    pub fn receipt_of(&self, digest: &Digest, anchors: Vec<Anchor>) -> Receipt {
        let at = self.entries.iter().position(|entry| entry.digest == *digest).expect("it is in the batch");
        self.receipt(at as u64 + 1, anchors)
    }
}
