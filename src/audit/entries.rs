//! Proofs and tiles: the tree built again from the entries, compared hash by hash with what is stored.

use sceau_verifier::tile::{self, TileId};
use sceau_verifier::{Digest, Tree, decision, merkle};

use super::batches::{Sealed, key as batch_key};
use super::{Report, Result, shown, validations};
use crate::ledger::Ledger;
use crate::ledger::audit::TileRow;
use crate::ledger::batches::entries::Row;

/// Tiles read at once: 4 MiB of hashes.
const PAGE: i64 = 512;

/// Proofs that belong nowhere.
pub(super) async fn check_strays(ledger: &Ledger, report: &mut Report) -> Result<()> {
    for stray in ledger.audit_strays(1_000).await? {
        let key = format!("account_id={} digest={}", stray.account_id, shown(&stray.digest));
        report.add("proofs", key, format!("batch {}: {}", stray.batch, stray.why));
    }
    for stray in ledger.audit_erased(1_000).await? {
        report.add("proofs", format!("account_id={} digest={}", stray.account_id, shown(&stray.digest)), stray.why);
    }
    if let Some((batch, level, index)) = ledger.audit_early_tile().await? {
        report.add("tiles", tile_key(batch, level.into(), i64::from(index)), "its batch is not sealed");
    }
    Ok(())
}

/// By which labels proofs are found.
pub(super) async fn check_labels(ledger: &Ledger, report: &mut Report) -> Result<()> {
    for (account, number, label) in ledger.audit_labels(1_000).await? {
        let what = format!("the label {label:?} is not one of its proof's, or is not kept");
        report.add("proof_labels", format!("account_id={account} number={number}"), what);
    }
    Ok(())
}

/// By what the proofs of accounts with an identity are found in the KageSecur dialect.
pub(super) async fn check_doubled(ledger: &Ledger, report: &mut Report) -> Result<()> {
    for odd in ledger.audit_doubled(1_000).await? {
        let key = format!("account_id={} digest={}", odd.account_id, shown(&odd.digest));
        report.add("doubled_digests", key, odd.why);
    }
    Ok(())
}

/// Entries, tiles and root of a sealed batch. Which of the three is at odds with the other two is the one named.
pub(super) async fn check_tree(ledger: &Ledger, sealed: &Sealed, report: &mut Report) -> Result<()> {
    let number = sealed.number.unsigned_abs();
    let (mut leaves, mut marked) = (vec![sealed.header.leaf().into()], Vec::new());
    let look = |row: Row<'_>| {
        leaves.push(leaf_of(row));
        marked.extend(decision_of(row));
    };
    let count = ledger.each_entry(number, look).await?;
    validations::check_marked(ledger, sealed.number, &marked, report).await?;
    let tree = tokio::task::spawn_blocking(move || {
        leaves[1..].sort_unstable();
        Tree::from_leaves(leaves)
    })
    .await
    .expect("hashing does not panic");
    let root: [u8; 32] = tree.root().into();
    if root == sealed.root {
        report.proofs += count;
        return check_tiles(ledger, sealed.number, &tree, report).await;
    }
    let stored = stored_leaves(ledger, sealed.number).await?;
    let stored_root: Option<[u8; 32]> = (!stored.is_empty()).then(|| Tree::from_leaves(stored.clone()).root().into());
    if stored_root == Some(root) || stored_root != Some(sealed.root) {
        let what = if stored_root == Some(root) {
            "its root is not that of its proofs and tiles"
        } else {
            "its root is not that of its proofs, nor of its tiles"
        };
        report.add("batches", batch_key(sealed.number), what);
        return Ok(());
    }
    // Tiles and root agree: header or proofs were changed.
    if stored.first() != tree.layer(0).first() {
        report.add("batches", batch_key(sealed.number), "its header is not leaf 0 of its tree");
    }
    compare(ledger, sealed.number, &tree.layer(0)[1..], &stored[1..], report).await
}

/// The entries of a batch without a tree: of them only the decisions can be compared with anything.
pub(super) async fn check_pool(ledger: &Ledger, batch: i64, report: &mut Report) -> Result<()> {
    let mut marked = Vec::new();
    ledger.each_entry(batch.unsigned_abs(), |row| marked.extend(decision_of(row))).await?;
    validations::check_marked(ledger, batch, &marked, report).await
}

/// The leaf of an entry; of an erased one it stands in its place.
fn leaf_of(row: Row<'_>) -> [u8; 32] {
    match row {
        Row::Entry(entry) => merkle::leaf_hash(entry).into(),
        Row::Leaf(leaf) => *leaf,
    }
}

/// The digest of an entry whose salt marks it as a decision.
fn decision_of(row: Row<'_>) -> Option<Vec<u8>> {
    let Row::Entry(entry) = row else { return None };
    let (digest, salt) = entry.split_at(Digest::LEN);
    let mark = decision::salt(&Digest::try_from(digest).ok()?);
    (mark.as_bytes()[..] == *salt).then(|| digest.to_vec())
}

/// Names proofs that are not in the tree and leaves that have no proof; both ascend.
async fn compare(ledger: &Ledger, batch: i64, proofs: &[[u8; 32]], leaves: &[[u8; 32]], report: &mut Report) -> Result<()> {
    let surplus: Vec<&[u8; 32]> = proofs.iter().filter(|proof| leaves.binary_search(proof).is_err()).collect();
    let mut named = Vec::new();
    if !surplus.is_empty() {
        let find = |row: Row<'_>| {
            if surplus.binary_search(&&leaf_of(row)).is_ok() && named.len() < super::NAMED {
                named.push(match row {
                    Row::Entry(entry) => (entry[..32].to_vec(), Some(entry[32..].to_vec())),
                    Row::Leaf(leaf) => (leaf.to_vec(), None),
                });
            }
        };
        ledger.each_entry(batch.unsigned_abs(), find).await?;
    }
    for (digest, salt) in &named {
        let owner = ledger.audit_owner(batch, digest, salt.as_deref()).await?.unwrap_or_default();
        report.add(
            "proofs",
            format!("account_id={owner} digest={}", shown(digest)),
            format!("its leaf is not in the tree of batch {batch}"),
        );
    }
    for (place, leaf) in leaves.iter().enumerate() {
        if proofs.binary_search(leaf).is_err() {
            report.add("proofs", format!("batch={batch}"), format!("the proof of leaf {} is missing", place + 1));
        }
    }
    // Two equal proofs in two accounts would have equal leaves; salts keep that from happening.
    if proofs.windows(2).any(|pair| pair[0] == pair[1]) {
        report.add("proofs", format!("batch={batch}"), "two proofs have the same leaf");
    }
    Ok(())
}

/// Compares stored tiles with those the tree has, in order.
async fn check_tiles(ledger: &Ledger, batch: i64, tree: &Tree, report: &mut Report) -> Result<()> {
    let mut expected = tile::tiles(tree).peekable();
    let mut behind = (-1, 0);
    loop {
        let page = ledger.audit_tiles(batch, behind, PAGE).await?;
        for row in &page {
            let at = (i64::from(row.level), i64::from(row.index));
            while let Some((id, _)) = expected.next_if(|(id, _)| place(*id) < at) {
                report.add("tiles", tile_key(batch, place(id).0, place(id).1), "the tile is missing");
            }
            match expected.next_if(|(id, _)| place(*id) == at) {
                None => report.add("tiles", tile_key(batch, at.0, at.1), "the tree has no such tile"),
                Some((id, hashes)) => {
                    if let Some(what) = difference(row, id, hashes) {
                        report.add("tiles", tile_key(batch, at.0, at.1), what);
                    }
                }
            }
            behind = (row.level, row.index);
        }
        if page.len() < PAGE as usize {
            break;
        }
    }
    for (id, _) in expected {
        report.add("tiles", tile_key(batch, place(id).0, place(id).1), "the tile is missing");
    }
    Ok(())
}

fn difference(row: &TileRow, id: TileId, hashes: &[[u8; 32]]) -> Option<String> {
    let lowest: Option<&[u8]> = match (id.level, id.index) {
        (0, 0) => Some(&[0; 32]),
        (0, _) => Some(&hashes[0]),
        _ => None,
    };
    let expected = hashes.as_flattened();
    if row.hashes != expected {
        let at = row.hashes.iter().zip(expected).position(|(left, right)| left != right);
        let at = at.unwrap_or(row.hashes.len().min(expected.len()));
        return Some(format!("its hash {} is not that of the tree", at / 32));
    }
    (row.lowest.as_deref() != lowest).then(|| "lowest is not its first leaf".into())
}

async fn stored_leaves(ledger: &Ledger, batch: i64) -> Result<Vec<[u8; 32]>> {
    let (mut leaves, mut behind) = (Vec::new(), (-1, 0));
    loop {
        let page = ledger.audit_tiles(batch, behind, PAGE).await?;
        for row in page.iter().filter(|row| row.level == 0) {
            leaves.extend_from_slice(row.hashes.as_chunks().0);
        }
        match page.last() {
            Some(last) if page.len() == PAGE as usize && last.level == 0 => behind = (last.level, last.index),
            _ => return Ok(leaves),
        }
    }
}

fn place(id: TileId) -> (i64, i64) {
    (id.level.into(), i64::try_from(id.index).unwrap_or(i64::MAX))
}

fn tile_key(batch: i64, level: i64, index: i64) -> String {
    format!("batch={batch} level={level} index={index}")
}
