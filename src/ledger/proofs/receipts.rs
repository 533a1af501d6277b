//! What a receipt is made of, but for its tree, with one query; and the tiles of a path with another.

use sceau_verifier::digest::{Digest, Salt};

use crate::ledger::accounts::AccountId;
use crate::ledger::anchors::{Anchor, AnchorState, Place};
use crate::ledger::batches::SealedBatch;
use crate::ledger::targets::TargetId;
use crate::ledger::{Ledger, LedgerError, Result, fixed, natural, stored};

/// A sealed proof, its batch and its anchors, all of one moment.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The proof's salt.
    pub salt: Salt,
    /// Its batch.
    pub batch: SealedBatch,
    /// In how many targets the batch must stand.
    pub needed: u64,
    /// Whether it ever was to wait for validators.
    pub waited: bool,
    /// The anchors of the batch; their evidence only when it was asked for.
    pub anchors: Vec<Anchor>,
}

impl Facts {
    /// How the anchors stand, as [`Standing`] tells it.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        let mut marks: Vec<_> =
            self.anchors.iter().map(|anchor| Mark { target: anchor.target, state: anchor.state, place: anchor.place }).collect();
        marks.sort_unstable_by_key(|mark| mark.target.0);
        marks
    }
}

/// How an anchor stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Its target.
    pub target: TargetId,
    /// How far it is.
    pub state: AnchorState,
    /// Where it stands, once included.
    pub place: Option<Place>,
}

/// Of a sealed proof everything that may change, all of one moment, and what names the rest.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The proof's salt.
    pub salt: Salt,
    /// Its batch.
    pub batch: u64,
    /// Root of the batch: its header, its size and every path follow from it.
    pub root: [u8; 32],
    /// In how many targets the batch must stand.
    pub needed: u64,
    /// Whether it ever was to wait for validators.
    pub waited: bool,
    /// The anchors of the batch, by target.
    pub marks: Vec<Mark>,
}

/// A tile: level, index, hashes.
pub type StoredTile = (u32, u64, Vec<u8>);

impl Ledger {
    /// How the account's proof of `digest` stands; `None` without such a proof, and while its batch is not sealed. Where the rest is
    /// known, a receipt needs no other query.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn receipt_standing(&self, account: AccountId, digest: &Digest) -> Result<Option<Standing>> {
        let rows = sqlx::query!(
            r#"select p.salt as "salt!", p.batch, b.root, b.anchors_needed,
                 exists (select from validations w where w.account_id = p.account_id and w.digest = p.digest) as "waited!",
                 a.target_id as "target_id?", a.state as "state?", a.tx_hash as "tx_hash?", a.tx_index as "tx_index?",
                 a.block_number as "block_number?", a.block_hash as "block_hash?", a.block_time as "block_time?"
               from proofs p join batches b on b.number = p.batch left join anchors a on a.batch = b.number
               where p.account_id = $1 and p.digest = $2 and p.salt is not null and b.sealed_at is not null"#,
            account.0,
            digest.as_ref(),
        )
        .fetch_all(self.pool())
        .await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let Some(root) = first.root.as_ref() else { return Ok(None) };
        let mut standing = Standing {
            salt: fixed::<16>(&first.salt, "proofs.salt")?.into(),
            batch: natural(first.batch, "proofs.batch")?,
            root: fixed(root, "batches.root")?,
            needed: natural(first.anchors_needed.into(), "batches.anchors_needed")?,
            waited: first.waited,
            marks: Vec::with_capacity(rows.len()),
        };
        for row in rows {
            let (Some(target), Some(state)) = (row.target_id, row.state) else { continue };
            standing.marks.push(Mark {
                target: TargetId(target),
                state: AnchorState::parse(&state)?,
                place: Place::of((row.tx_hash, row.tx_index), (row.block_number, row.block_hash, row.block_time))?,
            });
        }
        standing.marks.sort_unstable_by_key(|mark| mark.target.0);
        Ok(Some(standing))
    }

    /// What the receipt of the account's `digest` is made of; `None` without such a proof, and while its batch is not sealed.
    /// `evidence` is large and never changes for a block: it is read only when wanted.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn receipt_facts(&self, account: AccountId, digest: &Digest, evidence: bool) -> Result<Option<Facts>> {
        let rows = sqlx::query!(
            r#"select p.salt as "salt!", p.batch, b.sealed_at, b.header, b.size, b.root, b.anchors_needed,
                 exists (select from validations w where w.account_id = p.account_id and w.digest = p.digest) as "waited!",
                 a.target_id as "target_id?", t.chain_id as "chain_id?", t.registry as "registry?", a.state as "state?", a.tx_hash as "tx_hash?",
                 a.tx_index as "tx_index?", a.block_number as "block_number?", a.block_hash as "block_hash?", a.block_time as "block_time?",
                 case when $3 then a.evidence end as evidence
               from proofs p join batches b on b.number = p.batch
               left join anchors a on a.batch = b.number left join targets t on t.id = a.target_id
               where p.account_id = $1 and p.digest = $2 and p.salt is not null"#,
            account.0,
            digest.as_ref(),
            evidence,
        )
        .fetch_all(self.pool())
        .await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let (Some(sealed_at), Some(header), Some(size), Some(root)) =
            (first.sealed_at, first.header.clone(), first.size, first.root.as_ref())
        else {
            return Ok(None);
        };
        let batch = natural(first.batch, "proofs.batch")?;
        let mut facts = Facts {
            salt: fixed::<16>(&first.salt, "proofs.salt")?.into(),
            batch: SealedBatch {
                number: batch,
                sealed_at,
                header,
                size: natural(size, "batches.size")?,
                root: fixed(root, "batches.root")?,
            },
            needed: natural(first.anchors_needed.into(), "batches.anchors_needed")?,
            waited: first.waited,
            anchors: Vec::with_capacity(rows.len()),
        };
        for row in rows {
            let (Some(target), Some(chain_id), Some(registry), Some(state)) =
                (row.target_id, row.chain_id, row.registry, row.state)
            else {
                continue;
            };
            facts.anchors.push(Anchor {
                batch,
                target: TargetId(target),
                chain_id: natural(chain_id, "targets.chain_id")?,
                registry: fixed(&registry, "targets.registry")?,
                state: AnchorState::parse(&state)?,
                place: Place::of((row.tx_hash, row.tx_index), (row.block_number, row.block_hash, row.block_time))?,
                evidence: row.evidence,
            });
        }
        Ok(Some(facts))
    }

    /// The leaf tile in which `leaf` stands if it stands anywhere, and the tiles above it of a tree of so many levels:
    /// ascending by level, one index search each.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn path_tiles(&self, batch: u64, leaf: &[u8; 32], levels: u32) -> Result<Vec<StoredTile>> {
        let last = i32::try_from(levels).map_err(|_| LedgerError::Damaged(format!("a tree of {levels} levels")))? - 1;
        let rows = sqlx::query!(
            r#"with leaf as materialized (
                 select index, hashes from tiles where batch = $1 and level = 0 and lowest <= $2 order by lowest desc limit 1
               )
               select 0 as "level!", index as "index!", hashes as "hashes!" from leaf
               union all
               select above.level, t.index, t.hashes
                 from leaf cross join generate_series(1, $3) as above (level)
                 cross join lateral (
                   select index, hashes from tiles
                     where batch = $1 and level = above.level::smallint and index = leaf.index >> (8 * above.level) limit 1
                 ) t"#,
            stored(batch),
            leaf,
            last,
        )
        .fetch_all(self.pool())
        .await?;
        let mut tiles = rows
            .into_iter()
            .map(|row| {
                let level = u32::try_from(row.level).map_err(|_| LedgerError::Damaged("a level below 0".into()))?;
                Ok((level, natural(row.index.into(), "tiles.index")?, row.hashes))
            })
            .collect::<Result<Vec<_>>>()?;
        tiles.sort_unstable_by_key(|(level, ..)| *level);
        Ok(tiles)
    }
}
