//! Receipts, assembled on demand from stored tiles and anchors, and checked before they leave.

use sceau_verifier::receipt::{
    Batch as BatchPart, Decision as DecisionPart, Document, EntryPosition, Format, MAX_BYTES, TreePosition,
};
use sceau_verifier::{Address, Anchor as AnchorPart, ChainRef, Digest, Entry, Evidence, Hash32, Receipt, tile, verify};

use crate::ledger::anchors::{Anchor, AnchorState};
use crate::ledger::batches::{Batch, SealedBatch};
use crate::ledger::proofs::Proof;
use crate::ledger::validations::Decision;
use crate::ledger::{Ledger, LedgerError, Result};

/// A receipt as it can be given out now.
#[derive(Debug, Clone)]
pub struct Assembled {
    /// The receipt.
    pub receipt: Receipt,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
    /// Every anchor there will be is in it with its evidence: the bytes will not change unless a registry is added.
    pub complete: bool,
    /// In how many targets the batch must stand to count as anchored, or final.
    pub needed: u64,
}

/// Assembles the receipt of a proof; `None` while its batch is not sealed. Anchors that are in no block yet are left out.
/// When validators approved the document, their decisions are in it as soon as each is as far as the document.
///
/// Reads the batch, its anchors, the leaf's tile and, with one query, the other tiles of both paths; the same for each
/// decision.
///
/// # Errors
/// [`LedgerError::Damaged`] when what is stored does not give a receipt that verifies: such a receipt is never answered.
pub async fn assemble(ledger: &Ledger, proof: &Proof) -> Result<Option<Assembled>> {
    let Some((mut receipt, mut complete)) = own(ledger, proof).await? else { return Ok(None) };
    let approvals = ledger.approvals_of(proof.account, &proof.digest).await?;
    if !approvals.is_empty() {
        match decisions(ledger, proof, &receipt, approvals).await? {
            Some((found, whole)) => {
                receipt.decisions = found;
                complete &= whole;
                if receipt.to_bytes().len() > MAX_BYTES {
                    tracing::warn!(digest = %proof.digest, "the receipt with its decisions would be too long; they are left out");
                    receipt.decisions.clear();
                }
            }
            None => complete = false,
        }
    }
    verify::check_structure(&receipt).map_err(|failure| {
        damaged(receipt.batch.number, &format!("the receipt of {} would not verify: {failure}", proof.digest))
    })?;
    Ok(Some(Assembled { bytes: receipt.to_bytes(), receipt, complete, needed: ledger.anchors_needed(proof.batch).await? }))
}

/// The decisions with their own receipts, and whether those are complete; `None` while one of them is not as far as
/// `receipt`. All or none: a receipt does not tell of some approvals only.
async fn decisions(
    ledger: &Ledger,
    proof: &Proof,
    receipt: &Receipt,
    approvals: Vec<Decision>,
) -> Result<Option<(Vec<DecisionPart>, bool)>> {
    let (mut parts, mut whole) = (Vec::with_capacity(approvals.len()), true);
    for approval in approvals {
        let missing = || LedgerError::Damaged(format!("decision {} is no proof", approval.digest));
        let nested = ledger.proof(proof.account, &approval.digest).await?.ok_or_else(missing)?;
        let Some((nested, complete)) = own(ledger, &nested).await? else { return Ok(None) };
        if !receipt.anchors.iter().all(|anchor| nested.anchors.iter().any(|other| as_far(other, anchor))) {
            return Ok(None);
        }
        whole &= complete;
        parts.push(DecisionPart { statement: approval.statement, receipt: nested });
    }
    parts.sort_by_key(|part| (part.receipt.batch.number, part.receipt.entry.index));
    Ok(Some((parts, whole)))
}

/// Whether `nested` is where `anchor` is, and final where that is.
fn as_far(nested: &AnchorPart, anchor: &AnchorPart) -> bool {
    (nested.chain, nested.registry) == (anchor.chain, anchor.registry) && (nested.evidence.is_some() || anchor.evidence.is_none())
}

/// The receipt without decisions, and whether every anchor that is planned is in it with its evidence.
async fn own(ledger: &Ledger, proof: &Proof) -> Result<Option<(Receipt, bool)>> {
    let Some(Batch::Sealed(batch)) = ledger.batch(proof.batch).await? else { return Ok(None) };
    let anchors = ledger.anchors(batch.number).await?;
    let entry = Entry { digest: proof.digest, salt: proof.salt };
    let (index, path, header_path) = paths(ledger, &batch, &entry.leaf()).await?;
    let ended = |anchor: &Anchor| matches!(anchor.state, AnchorState::Final | AnchorState::Withdrawn);
    let complete = anchors.iter().all(ended) && anchors.iter().any(|anchor| anchor.state == AnchorState::Final);
    let mut parts = anchors.iter().filter_map(|anchor| part(anchor).transpose()).collect::<Result<Vec<_>>>()?;
    // The order of a receipt is that of the texts: eip155:10 before eip155:9.
    parts.sort_by_key(|anchor| (anchor.chain, anchor.registry));
    let receipt = Receipt {
        format: Format::V1,
        document: Document { digest: proof.digest },
        entry: EntryPosition { salt: proof.salt, index },
        tree: TreePosition { size: batch.size, root: Digest::from(batch.root), path },
        batch: BatchPart { number: batch.number, header: batch.header, path: header_path },
        anchors: parts,
        decisions: Vec::new(),
    };
    Ok(Some((receipt, complete)))
}

/// The leaf's index, its path and the header's path.
async fn paths(ledger: &Ledger, batch: &SealedBatch, leaf: &Digest) -> Result<(u64, Vec<Digest>, Vec<Digest>)> {
    let (number, size) = (batch.number, batch.size);
    let (tile_index, bytes) =
        ledger.leaf_tile(number, leaf.as_bytes()).await?.ok_or_else(|| damaged(number, "has no leaf tiles"))?;
    let hashes = hashes(number, &bytes)?;
    // Leaf 0 is the header's, whatever its hash.
    let skipped = usize::from(tile_index == 0);
    let position = hashes[skipped..].iter().position(|hash| hash == leaf.as_bytes());
    let position = position.ok_or_else(|| damaged(number, &format!("leaf {leaf} is not in its tiles")))?;
    let index = tile_index * tile::WIDTH as u64 + (position + skipped) as u64;

    let needed: Vec<tile::TileId> = tile::path_tiles(size, index).skip(1).chain(tile::path_tiles(size, 0)).collect();
    let wanted: Vec<(u8, u64)> = needed.iter().map(|id| (id.level as u8, id.index)).collect();
    let found = ledger.tiles(number, &wanted).await?;
    let mut others = Vec::with_capacity(found.len());
    for (tile, id) in found.iter().zip(&needed) {
        let tile = tile.as_deref().ok_or_else(|| damaged(number, &format!("tile {}/{} is missing", id.level, id.index)))?;
        others.push(self::hashes(number, tile)?);
    }
    let (upper, of_header) = others.split_at(others.len() - tile::levels(size) as usize);
    let own: Vec<&[[u8; 32]]> = std::iter::once(hashes).chain(upper.iter().copied()).collect();
    let path = tile::path(size, index, &own).map_err(|error| damaged(number, &error.to_string()))?;
    let header_path = tile::path(size, 0, of_header).map_err(|error| damaged(number, &error.to_string()))?;
    Ok((index, path, header_path))
}

fn hashes(number: u64, bytes: &[u8]) -> Result<&[[u8; 32]]> {
    tile::from_bytes(bytes).map_err(|error| damaged(number, &error.to_string()))
}

/// An anchor as a receipt has it; `None` while it is in no block.
fn part(anchor: &Anchor) -> Result<Option<AnchorPart>> {
    let Some(place) = &anchor.place else { return Ok(None) };
    let evidence: Option<Evidence> = anchor
        .evidence
        .as_deref()
        .map(serde_json::from_str)
        .transpose()
        .map_err(|error| damaged(anchor.batch, &format!("evidence of an anchor: {error}")))?;
    Ok(Some(AnchorPart {
        chain: ChainRef::new(anchor.chain_id).ok_or_else(|| damaged(anchor.batch, "is anchored on chain 0"))?,
        registry: Address::from(anchor.registry),
        tx_hash: Hash32::from(place.tx_hash),
        block_number: place.block_number,
        block_hash: Hash32::from(place.block_hash),
        block_time: place.block_time,
        evidence,
    }))
}

fn damaged(batch: u64, what: &str) -> LedgerError {
    LedgerError::Damaged(format!("batch {batch}: {what}"))
}
