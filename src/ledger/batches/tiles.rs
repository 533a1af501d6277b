//! Table `tiles`: the trees of sealed batches.

use sqlx::PgConnection;
use tokio::sync::mpsc;

use crate::ledger::batches::entries::COPY_HEADER;
use crate::ledger::{Ledger, LedgerError, Result, natural, stored};

/// Rows on their way in, in Postgres' binary COPY format (manual, COPY, "Binary Format") without its header and trailer.
#[derive(Debug)]
pub struct TileRows {
    batch: i64,
    bytes: Vec<u8>,
}

/// Bytes of a row with a full tile.
const ROW: usize = 2 + (4 + 8) + (4 + 2) + (4 + 4) + (4 + 32) + (4 + 8192);

impl TileRows {
    /// No row yet, and memory for `full` full tiles of a batch.
    #[must_use]
    pub fn of(batch: u64, full: usize) -> Self {
        Self { batch: stored(batch), bytes: Vec::with_capacity(full * ROW) }
    }

    /// Whether one more full tile fits into the memory taken.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.bytes.capacity() - self.bytes.len() >= ROW
    }

    /// One more row: the tile at `index` of a level, with up to 256 hashes.
    ///
    /// # Panics
    /// From 2^31 tiles a level on: more leaves than any memory holds.
    pub fn push(&mut self, level: u8, index: u64, hashes: &[[u8; 32]]) {
        self.bytes.extend(5_i16.to_be_bytes());
        self.column(&self.batch.to_be_bytes());
        self.column(&i16::from(level).to_be_bytes());
        self.column(&i32::try_from(index).expect("a level has fewer than 2^31 tiles").to_be_bytes());
        // What leaf lookups search by: the tile's first leaf, except that tile 0 starts with the header, which is not in
        // order, and therefore comes before everything.
        match (level, index) {
            (0, 0) => self.column(&[0; 32]),
            (0, _) => self.column(&hashes[0]),
            _ => self.bytes.extend((-1_i32).to_be_bytes()),
        }
        self.column(hashes.as_flattened());
    }

    fn column(&mut self, value: &[u8]) {
        self.bytes.extend(i32::try_from(value.len()).expect("a few KiB").to_be_bytes());
        self.bytes.extend_from_slice(value);
    }
}

/// Stores tiles as they come, until there is nobody left who sends any. Given up half-way the connection is in the middle of
/// a COPY: it must be closed.
pub(super) async fn copy(connection: &mut PgConnection, mut tiles: mpsc::Receiver<TileRows>) -> Result<()> {
    let mut copy = connection.copy_in_raw("copy tiles (batch, level, index, lowest, hashes) from stdin (format binary)").await?;
    copy.send(&COPY_HEADER[..]).await?;
    while let Some(rows) = tiles.recv().await {
        copy.send(rows.bytes).await?;
    }
    copy.send(&(-1_i16).to_be_bytes()[..]).await?;
    copy.finish().await?;
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
