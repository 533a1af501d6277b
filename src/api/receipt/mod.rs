//! Receipts, assembled on demand from stored tiles and anchors, and checked before they leave.

mod generations;
mod known;
mod printed;

use sceau_verifier::common::Common;
use sceau_verifier::receipt::{
    Batch as BatchPart, Decision as DecisionPart, Document, EntryPosition, Format, MAX_BYTES, TreePosition,
};
use sceau_verifier::{Address, Anchor as AnchorPart, ChainRef, Digest, Entry, Evidence, Hash32, Receipt, path, tile, verify};

pub use self::known::Known;
use self::known::{LeafTile, Printed};
pub use self::printed::{Text, text};
use crate::ledger::accounts::AccountId;
use crate::ledger::anchors::{Anchor, AnchorState};
use crate::ledger::proofs::Proof;
use crate::ledger::proofs::receipts::Facts;
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
/// # Errors
/// As [`of`].
pub async fn assemble(ledger: &Ledger, known: &Known, proof: &Proof) -> Result<Option<Assembled>> {
    of(ledger, known, proof.account, &proof.digest).await
}

/// As [`assemble`]; `None` also where there is no such proof.
///
/// Reads the proof, its batch and its anchors with one query, and what is not known yet of the rest with others: the tiles
/// of the path, the path of the batch's header, the evidence. The same for each decision.
///
/// # Errors
/// [`LedgerError::Damaged`] when what is stored does not give a receipt that verifies: such a receipt is never answered.
pub async fn of(ledger: &Ledger, known: &Known, account: AccountId, digest: &Digest) -> Result<Option<Assembled>> {
    of_read(ledger, known, account, digest, false).await
}

/// As [`of`]. With `evidence` that is read at once: it is not known.
async fn of_read(
    ledger: &Ledger,
    known: &Known,
    account: AccountId,
    digest: &Digest,
    evidence: bool,
) -> Result<Option<Assembled>> {
    let Some((mut receipt, mut complete, facts)) = own(ledger, known, account, digest, evidence).await? else { return Ok(None) };
    let ended = complete;
    let approvals = if facts.waited { ledger.approvals_of(account, digest).await? } else { Vec::new() };
    if !approvals.is_empty() {
        match decisions(ledger, known, account, &receipt, approvals).await? {
            Some((found, whole)) => {
                receipt.decisions = found;
                complete &= whole;
                if receipt.to_bytes().len() > MAX_BYTES {
                    tracing::warn!(%digest, "the receipt with its decisions would be too long; they are left out");
                    receipt.decisions.clear();
                }
            }
            None => complete = false,
        }
    }
    verify::check_structure_among(&receipt, Some(&known.passed)).map_err(|failure| {
        known.forget(facts.batch.number);
        damaged(receipt.batch.number, &format!("the receipt of {digest} would not verify: {failure}"))
    })?;
    let marks = facts.marks();
    if ended && known.printed(facts.batch.number, &facts.batch.root, &marks).is_none() {
        // It was checked just now: cannot fail.
        if let Ok(common) = Common::of(&receipt, Some(&known.passed)) {
            known.learn_printed(facts.batch.number, Printed::new(marks, common));
        }
    }
    Ok(Some(Assembled { bytes: receipt.to_bytes(), receipt, complete, needed: facts.needed }))
}

/// The decisions with their own receipts, and whether those are complete; `None` while one of them is not as far as
/// `receipt`. All or none: a receipt does not tell of some approvals only.
async fn decisions(
    ledger: &Ledger,
    known: &Known,
    account: AccountId,
    receipt: &Receipt,
    approvals: Vec<Decision>,
) -> Result<Option<(Vec<DecisionPart>, bool)>> {
    let (mut parts, mut whole) = (Vec::with_capacity(approvals.len()), true);
    for approval in approvals {
        let missing = || LedgerError::Damaged(format!("decision {} is no proof", approval.digest));
        let Some((nested, complete, _)) = own(ledger, known, account, &approval.digest, false).await? else {
            // Not sealed yet, or not there at all.
            ledger.proof(account, &approval.digest).await?.ok_or_else(missing)?;
            return Ok(None);
        };
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
async fn own(
    ledger: &Ledger,
    known: &Known,
    account: AccountId,
    digest: &Digest,
    evidence: bool,
) -> Result<Option<(Receipt, bool, Facts)>> {
    let Some(mut facts) = ledger.receipt_facts(account, digest, evidence).await? else { return Ok(None) };
    let number = facts.batch.number;
    if !evidence && !facts.marks().iter().all(|mark| known.has_evidence(number, mark)) {
        // All of it anew, so that it is of one moment.
        let Some(whole) = ledger.receipt_facts(account, digest, true).await? else { return Ok(None) };
        facts = whole;
    }
    let batch = &facts.batch;
    let entry = Entry { digest: *digest, salt: facts.salt };
    let trunk = Trunk { batch: number, size: batch.size, root: batch.root };
    let (index, path) = path_of(ledger, known, &trunk, &entry.leaf()).await?;
    let header_path = header_path(ledger, known, &trunk).await?;
    let ended = |anchor: &Anchor| matches!(anchor.state, AnchorState::Final | AnchorState::Withdrawn);
    let complete = facts.anchors.iter().all(ended) && facts.anchors.iter().any(|anchor| anchor.state == AnchorState::Final);
    let mut parts = facts.anchors.iter().filter_map(|anchor| part(known, anchor).transpose()).collect::<Result<Vec<_>>>()?;
    // The order of a receipt is that of the texts: eip155:10 before eip155:9.
    parts.sort_by_key(|anchor| (anchor.chain, anchor.registry));
    let receipt = Receipt {
        format: Format::V1,
        document: Document { digest: *digest },
        entry: EntryPosition { salt: facts.salt, index },
        tree: TreePosition { size: batch.size, root: Digest::from(batch.root), path },
        batch: BatchPart { number, header: batch.header.clone(), path: header_path },
        anchors: parts,
        decisions: Vec::new(),
    };
    Ok(Some((receipt, complete, facts)))
}

/// What a path in the tree of a sealed batch is found by.
struct Trunk {
    batch: u64,
    size: u64,
    root: [u8; 32],
}

/// The leaf's index and its path.
async fn path_of(ledger: &Ledger, known: &Known, trunk: &Trunk, leaf: &Digest) -> Result<(u64, Vec<Digest>)> {
    let number = trunk.batch;
    if let Some(found) = known.leaf(number, &trunk.root, leaf.as_bytes()) {
        return Ok(found);
    }
    let (tile, _) = leaf_tile(ledger, trunk, leaf.as_bytes()).await?;
    let found = tile.find(leaf.as_bytes()).ok_or_else(|| damaged(number, &format!("leaf {leaf} is not in its tiles")))?;
    known.learn_tile(number, tile);
    Ok(found)
}

/// The path of leaf 0.
async fn header_path(ledger: &Ledger, known: &Known, trunk: &Trunk) -> Result<Vec<Digest>> {
    if let Some(path) = known.header(trunk.batch, &trunk.root) {
        return Ok(path);
    }
    // No leaf comes before the first tile's.
    let (tile, index) = leaf_tile(ledger, trunk, &[0; 32]).await?;
    if index != 0 {
        return Err(damaged(trunk.batch, "the first leaf tile is missing"));
    }
    let path = tile.path(0);
    known.learn_header(trunk.batch, trunk.root, path.clone());
    Ok(path)
}

/// The leaf tile in which a leaf stands if it stands anywhere, and its index.
async fn leaf_tile(ledger: &Ledger, trunk: &Trunk, leaf: &[u8; 32]) -> Result<(LeafTile, u64)> {
    let (number, size) = (trunk.batch, trunk.size);
    let tiles = ledger.path_tiles(number, leaf, tile::levels(size)).await?;
    let Some(((0, index, lowest), upper)) = tiles.split_first() else { return Err(damaged(number, "has no leaf tiles")) };
    let needed = tile::path_tiles(size, index * tile::WIDTH as u64).skip(1);
    if !needed.map(|id| (id.level, id.index)).eq(upper.iter().map(|(level, index, _)| (*level, *index))) {
        return Err(damaged(number, &format!("tiles above leaf tile {index} are missing")));
    }
    let upper = upper.iter().map(|(.., bytes)| hashes(number, bytes)).collect::<Result<Vec<_>>>()?;
    let leaves = hashes(number, lowest)?;
    // The nodes over the leaf tiles are a tree of their own, with the same right edge.
    let above = match size.div_ceil(tile::WIDTH as u64) {
        1 => Vec::new(),
        tiles => tile::path(tiles, *index, &upper).map_err(|error| damaged(number, &error.to_string()))?,
    };
    let tile = LeafTile::new(trunk.root, *index, leaves, above);
    // What is remembered has to be right: a tile that leads to the root has the leaves that were sealed.
    let first = index * tile::WIDTH as u64;
    path::verify(&leaves[0].into(), first, size, &tile.path(0), &trunk.root.into())
        .map_err(|error| damaged(number, &format!("leaf tile {index}: {error}")))?;
    Ok((tile, *index))
}

fn hashes(number: u64, bytes: &[u8]) -> Result<&[[u8; 32]]> {
    tile::from_bytes(bytes).map_err(|error| damaged(number, &error.to_string()))
}

/// An anchor as a receipt has it; `None` while it is in no block.
fn part(known: &Known, anchor: &Anchor) -> Result<Option<AnchorPart>> {
    let Some(place) = &anchor.place else { return Ok(None) };
    let is_final = anchor.state == AnchorState::Final;
    if let Some(part) = known.anchor(anchor.batch, anchor.target, place).filter(|_| is_final) {
        return Ok(Some(part));
    }
    let evidence: Option<Evidence> = anchor
        .evidence
        .as_deref()
        .map(serde_json::from_str)
        .transpose()
        .map_err(|error| damaged(anchor.batch, &format!("evidence of an anchor: {error}")))?;
    if evidence.is_some() != is_final {
        // Only when a final anchor was forgotten between two looks: asked again, it is read.
        return Err(LedgerError::Moved { what: "anchor" });
    }
    let part = AnchorPart {
        chain: ChainRef::new(anchor.chain_id).ok_or_else(|| damaged(anchor.batch, "is anchored on chain 0"))?,
        registry: Address::from(anchor.registry),
        tx_hash: Hash32::from(place.tx_hash),
        block_number: place.block_number,
        block_hash: Hash32::from(place.block_hash),
        block_time: place.block_time,
        evidence,
    };
    if is_final {
        known.learn_anchor(anchor.batch, anchor.target, *place, part.clone());
    }
    Ok(Some(part))
}

fn damaged(batch: u64, what: &str) -> LedgerError {
    LedgerError::Damaged(format!("batch {batch}: {what}"))
}
