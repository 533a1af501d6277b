//! The rows, as they stand.

use time::OffsetDateTime;

/// A row of `batches`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "columns, described in the schema")]
pub struct BatchRow {
    pub number: i64,
    pub state: String,
    pub opened_at: OffsetDateTime,
    pub closed_at: Option<OffsetDateTime>,
    pub sealed_at: Option<OffsetDateTime>,
    pub header: Option<String>,
    pub size: Option<i64>,
    pub root: Option<Vec<u8>>,
    pub anchors_needed: i32,
    /// What `anchor_policy` says of this batch.
    pub policy: Option<i32>,
    /// Whether an anchor of it was ever withdrawn.
    pub withdrawn: bool,
}

/// A batch whose `anchored` is not what its anchors say.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "columns, described in the schema")]
pub struct AnchoredRow {
    pub number: i64,
    pub anchored: bool,
    pub needed: i32,
    /// Anchors that stand in a block.
    pub standing: i64,
}

/// A row of `tiles`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "columns, described in the schema")]
pub struct TileRow {
    pub level: i16,
    pub index: i32,
    pub lowest: Option<Vec<u8>>,
    pub hashes: Vec<u8>,
}

/// A proof that cannot belong where it is.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "columns, described in the schema")]
pub struct StrayRow {
    pub account_id: i64,
    pub digest: Vec<u8>,
    pub batch: i64,
    /// Why it cannot.
    pub why: String,
}

/// A row of `targets`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "columns, described in the schema")]
pub struct TargetRow {
    pub id: i32,
    pub chain_id: i64,
    pub registry: Vec<u8>,
    pub first_number: i64,
    pub code_hash: Vec<u8>,
    /// The newest batch that has an anchor there; none: no end.
    pub retired_after: Option<i64>,
}

/// A row of `lanes` with what the anchors say of it.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "columns, described in the schema")]
pub struct LaneRow {
    pub id: i32,
    pub chain_id: i64,
    pub signer: Vec<u8>,
    pub next_nonce: i64,
    /// Nonces of this lane that an anchor, an attempt that was given up, or an operator's call has.
    pub used: i64,
    /// Lowest and highest of these nonces.
    pub range: Option<(i64, i64)>,
    /// Whether an anchor on another chain has one of them.
    pub elsewhere: bool,
}

/// A row of `anchors` with its batch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "columns, described in the schema")]
pub struct AnchorRow {
    pub batch: i64,
    pub target_id: i32,
    pub state: String,
    pub nonce: Option<i64>,
    pub signer: Option<Vec<u8>>,
    pub tx_hash: Option<Vec<u8>>,
    pub tx_index: Option<i64>,
    pub block_number: Option<i64>,
    pub block_hash: Option<Vec<u8>>,
    pub block_time: Option<i64>,
    pub evidence: Option<String>,
    /// Root of the batch; none when it is not sealed.
    pub root: Option<Vec<u8>>,
    /// Leaves of the batch.
    pub size: Option<i64>,
}

/// A row of `anchor_history`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "columns, described in the schema")]
pub struct HistoryRow {
    pub id: i64,
    pub batch: i64,
    pub state: String,
}

/// A row of `attempts`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "columns, described in the schema")]
pub struct AttemptRow {
    pub tx_hash: Vec<u8>,
    pub batch: i64,
    pub max_fee: i64,
    pub max_priority_fee: i64,
    pub raw: Vec<u8>,
    /// Of an attempt that was given up: whose nonce it has, and which.
    pub retired_signer: Option<Vec<u8>>,
    pub retired_nonce: Option<i64>,
}

/// A row of `calls` with its lane.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "columns, described in the schema")]
pub struct CallRow {
    pub lane_id: i32,
    pub chain_id: i64,
    pub signer: Vec<u8>,
    pub nonce: i64,
    pub tx_hash: Vec<u8>,
    pub raw: Vec<u8>,
}

/// Anchors of one target with everything that belongs to them, as of one moment.
#[derive(Debug, Clone, Default)]
pub struct AnchorPage {
    /// Ascending by batch.
    pub anchors: Vec<AnchorRow>,
    /// Ascending by batch, then by id.
    pub history: Vec<HistoryRow>,
    /// Ascending by batch.
    pub attempts: Vec<AttemptRow>,
}
