//! Table `tiles`: the trees of sealed batches.

use sqlx::PgConnection;

use super::{Ledger, LedgerError, Result, natural, stored};

/// One row on its way in.
#[derive(Debug, Clone, Copy)]
pub struct NewTile<'a> {
    /// Tile level.
    pub level: u8,
    /// Position in the level.
    pub index: u64,
    /// Up to 256 hashes, concatenated.
    pub hashes: &'a [u8],
}

impl NewTile<'_> {
    /// What leaf lookups search by: the tile's first leaf, except that tile 0 starts with the header, which is not in
    /// order, and therefore comes before everything.
    fn lowest(&self) -> Option<&[u8]> {
        match (self.level, self.index) {
            (0, 0) => Some(&[0; 32]),
            (0, _) => Some(&self.hashes[..32]),
            _ => None,
        }
    }
}

/// Rows inserted with one statement: 4 MiB of hashes.
const ROWS_A_STATEMENT: usize = 512;

pub(super) async fn insert(connection: &mut PgConnection, batch: u64, tiles: &[NewTile<'_>]) -> Result<()> {
    for tiles in tiles.chunks(ROWS_A_STATEMENT) {
        let (mut levels, mut indices, mut lowests, mut hashes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for tile in tiles {
            levels.push(i16::from(tile.level));
            indices.push(i32::try_from(tile.index).map_err(|_| LedgerError::Damaged(format!("tile index {}", tile.index)))?);
            lowests.push(tile.lowest().map(<[u8]>::to_vec));
            hashes.push(tile.hashes);
        }
        sqlx::query!(
            "insert into tiles (batch, level, index, lowest, hashes)
             select $1, t.level, t.index, t.lowest, t.hashes from unnest($2::smallint[], $3::integer[], $4::bytea[], $5::bytea[])
               as t (level, index, lowest, hashes)",
            stored(batch),
            &levels,
            &indices,
            &lowests as _,
            &hashes as _,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

impl Ledger {
    /// The hashes of one tile of a sealed batch, concatenated; `None` where there is no such tile.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn tile(&self, batch: u64, level: u8, index: u64) -> Result<Option<Vec<u8>>> {
        let Ok(index) = i32::try_from(index) else { return Ok(None) };
        Ok(sqlx::query_scalar!(
            "select hashes from tiles where batch = $1 and level = $2 and index = $3",
            stored(batch),
            i16::from(level),
            index
        )
        .fetch_optional(self.pool())
        .await?)
    }

    /// The leaf tile in which `leaf` stands if it stands anywhere, with the tile's index: one index search.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn leaf_tile(&self, batch: u64, leaf: &[u8; 32]) -> Result<Option<(u64, Vec<u8>)>> {
        let row = sqlx::query!(
            "select index, hashes from tiles where batch = $1 and level = 0 and lowest <= $2 order by lowest desc limit 1",
            stored(batch),
            leaf
        )
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| Ok((natural(row.index.into(), "tiles.index")?, row.hashes))).transpose()
    }

    /// Calls `each` with every leaf tile of a batch in order.
    ///
    /// # Errors
    /// When the database cannot be asked, or a tile is missing.
    pub async fn each_leaf_tile(&self, batch: u64, mut each: impl FnMut(&[u8])) -> Result<()> {
        const CHUNK: i32 = 512;
        for start in (0..).step_by(CHUNK as usize) {
            let rows = sqlx::query!(
                "select index, hashes from tiles where batch = $1 and level = 0 and index >= $2 and index < $2 + $3 order by index",
                stored(batch),
                start,
                CHUNK,
            )
            .fetch_all(self.pool())
            .await?;
            for (place, row) in rows.iter().enumerate() {
                if row.index != start + i32::try_from(place).expect("at most 512 rows") {
                    return Err(LedgerError::Damaged(format!("batch {batch}: leaf tile {} is missing", row.index - 1)));
                }
                each(&row.hashes);
            }
            if rows.len() < CHUNK as usize {
                return Ok(());
            }
        }
        unreachable!("the range has no end")
    }
}
