//! Checks Sceau receipts without Sceau.
//!
//! The normative text is `SPEC.md` beside this package; every public check names the step it implements.
//! Nothing here reads a clock, a database or a configuration file, and without the feature `rpc` nothing opens a socket.

pub mod batch;
pub mod certificate;
pub mod check;
#[doc(hidden)]
pub mod cli;
pub mod evm;
pub mod merkle;
pub mod promise;
pub mod receipt;

mod hex;

pub use batch::{decision, digest, entry, header, utc};
#[cfg(feature = "rpc")]
pub use check::rpc;
pub use check::{common, decisions, verdict, verify};
pub use evm::{evidence, registry, rlp, trie};
pub use merkle::{path, tile, tree};

pub use batch::digest::{Digest, Salt};
pub use batch::entry::Entry;
pub use batch::header::BatchHeader;
pub use check::verdict::{Code, Failure, Verdict};
pub use check::verify::{Report, Trust};
pub use evm::evidence::Evidence;
pub use evm::{Address, Bytes, ChainRef, Hash32};
pub use merkle::tree::Tree;
pub use receipt::{Anchor, Receipt};
