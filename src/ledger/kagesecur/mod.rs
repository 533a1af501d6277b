//! What the KageSecur dialect needs beside proofs: identities, doubled digests, links, declared dates.

pub mod audit;
pub mod documents;
pub mod identities;
pub mod import;
pub mod links;
