//! Bringing a restored database up to what the registries hold: batches it lost, attempts and nonces it forgot.

use time::OffsetDateTime;

use crate::ledger::anchors::attempts::{self, Attempt};
use crate::ledger::anchors::history;
use crate::ledger::targets::TargetId;
use crate::ledger::{Ledger, LedgerError, Result, natural, stored};

/// A batch that a registry has and this database has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostBatch {
    /// Its number.
    pub number: u64,
    /// Its root.
    pub root: [u8; 32],
    /// Leaves of its tree.
    pub size: u64,
}

/// A transaction of ours that this database forgot.
#[derive(Debug, Clone)]
pub struct Forgotten {
    /// Where it anchored.
    pub target: TargetId,
    /// EIP-155 chain id of the target.
    pub chain_id: u64,
    /// What it anchored.
    pub batch: u64,
    /// Who signed it.
    pub signer: [u8; 20],
    /// Its nonce.
    pub nonce: u64,
    /// The transaction.
    pub attempt: Attempt,
}

/// What was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// Proofs that wait for another batch than they were accepted for.
    pub moved: u64,
    /// The batch that takes new proofs.
    pub open: u64,
}

impl Ledger {
    /// Proofs in batches from `number` on.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn proofs_from(&self, number: u64) -> Result<u64> {
        let count = sqlx::query_scalar!(r#"select count(*) as "count!" from proofs where batch >= $1"#, stored(number));
        natural(count.fetch_one(self.pool()).await?, "count of proofs")
    }

    /// The lowest batch from `number` on for which something was signed here, and the number of the open batch.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn signed_from(&self, number: u64) -> Result<(Option<u64>, u64)> {
        let row = sqlx::query!(
            r#"select (select min(batch) from anchors where batch >= $1 and state <> 'planned') as signed,
                 (select number from batches where state = 'open') as "open!""#,
            stored(number)
        )
        .fetch_one(self.pool())
        .await?;
        let signed = row.signed.map(|signed| natural(signed, "anchors.batch")).transpose()?;
        Ok((signed, natural(row.open, "batches.number")?))
    }

    /// Height of the newest block in which this database knows a final anchor of the target.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn newest_final_height(&self, target: TargetId) -> Result<Option<u64>> {
        let height =
            sqlx::query_scalar!("select max(block_number) from anchors where target_id = $1 and state = 'final'", target.0);
        height.fetch_one(self.pool()).await?.map(|height| natural(height, "anchors.block_number")).transpose()
    }

    /// Records lost batches (ascending, without a hole) and puts every proof from the first of them on into a new open
    /// batch behind the last; then stores what was forgotten as if it had just been sent. All of it or nothing.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when something of it was signed or known meanwhile, or when the database fails.
    pub async fn recover(&self, lost: &[LostBatch], forgotten: &[Forgotten]) -> Result<Recovered> {
        let mut transaction = self.pool().begin().await?;
        sqlx::query!("set local lock_timeout = '20s'").execute(&mut *transaction).await?;
        // As close_batch does: after the calls in flight, before those to come. Then nobody else writes.
        sqlx::query!("select pg_advisory_xact_lock(x'5ceab001'::bigint)").execute(&mut *transaction).await?;
        sqlx::query!("lock table batches, anchors, lanes in share row exclusive mode").execute(&mut *transaction).await?;
        let mut moved = 0;
        if let (Some(first), Some(last)) = (lost.first(), lost.last()) {
            moved = renumber(&mut transaction, first.number, last.number).await?;
            for batch in lost {
                lose(&mut transaction, batch).await?;
            }
        }
        for one in forgotten {
            remember(&mut transaction, one).await?;
        }
        let open = sqlx::query_scalar!("select number from batches where state = 'open'").fetch_one(&mut *transaction).await?;
        let detail = serde_json::json!({ "lost": lost.len(), "forgotten": forgotten.len(), "moved": moved });
        sqlx::query!("select note('operator', 'database.recovered', null, $1)", detail).fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Recovered { moved, open: natural(open, "batches.number")? })
    }
}

/// Removes the batches from `first` on, none of which was ever signed for, and opens one behind `last` with their proofs.
async fn renumber(connection: &mut sqlx::PgConnection, first: u64, last: u64) -> Result<u64> {
    let first = stored(first);
    let signed = sqlx::query_scalar!(
        r#"select exists (select from anchors where batch >= $1 and state <> 'planned') as "signed!""#,
        first
    );
    if signed.fetch_one(&mut *connection).await? {
        return Err(LedgerError::Moved { what: "batch that was never signed for" });
    }
    let since: Option<OffsetDateTime> =
        sqlx::query_scalar!("select min(received_at) from proofs where batch >= $1", first).fetch_one(&mut *connection).await?;
    crate::ledger::notices::forget_batches(connection, first).await?;
    sqlx::query!("delete from tiles where batch >= $1", first).execute(&mut *connection).await?;
    sqlx::query!("delete from anchor_history where batch >= $1", first).execute(&mut *connection).await?;
    sqlx::query!("delete from anchors where batch >= $1", first).execute(&mut *connection).await?;
    // What these batches held waits again. Numbers are not given anew: each proof keeps its own.
    sqlx::query!("delete from batch_accounts where batch >= $1", first).execute(&mut *connection).await?;
    sqlx::query!(
        "update account_numbers c set closed = coalesce((select max(b.last) from batch_accounts b where b.account_id = c.account_id), 0)
         where c.closed <> coalesce((select max(b.last) from batch_accounts b where b.account_id = c.account_id), 0)"
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("delete from batches where number >= $1", first).execute(&mut *connection).await?;
    sqlx::query!(
        "insert into batches (number, state, opened_at) values ($1::bigint + 1, 'open', least($2, clock_timestamp()))",
        stored(last),
        since
    )
    .execute(&mut *connection)
    .await?;
    let moved = sqlx::query!("update proofs set batch = $2::bigint + 1 where batch >= $1", first, stored(last))
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "update batches b set (anchor_by_first, anchor_by_last) =
           (select min(p.anchor_by), max(p.anchor_by) from proofs p where p.batch = b.number)
         where b.number = $1::bigint + 1",
        stored(last)
    )
    .execute(connection)
    .await?;
    Ok(moved.rows_affected())
}

/// Records a lost batch and plans its anchor everywhere: where it is already it is found, elsewhere it is made.
async fn lose(connection: &mut sqlx::PgConnection, batch: &LostBatch) -> Result<()> {
    sqlx::query!(
        "insert into batches (number, state, opened_at, root, size) values ($1, 'lost', clock_timestamp(), $2, $3)",
        stored(batch.number),
        &batch.root,
        stored(batch.size)
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "with planned as (
           insert into anchors (batch, target_id, state) select $1, id, 'planned' from targets where first_number <= $1
           returning batch, target_id, state
         )
         insert into anchor_history (batch, target_id, state, note) select batch, target_id, state, 'lost here, found on the chain' from planned",
        stored(batch.number)
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Stores an attempt that was found on the chain, and takes its nonce.
async fn remember(connection: &mut sqlx::PgConnection, one: &Forgotten) -> Result<()> {
    let lane = sqlx::query_scalar!(
        "insert into lanes as l (chain_id, signer, next_nonce) values ($1, $2, $3::bigint + 1)
         on conflict on constraint lanes_signer_key do update set next_nonce = greatest(l.next_nonce, excluded.next_nonce)
         returning id",
        stored(one.chain_id),
        &one.signer,
        stored(one.nonce)
    )
    .fetch_one(&mut *connection)
    .await?;
    // Signed here before, with other fees; or not signed here at all.
    let done = sqlx::query!(
        "update anchors set state = 'sent', lane_id = $3, nonce = $4, changed_at = clock_timestamp()
         where batch = $1 and target_id = $2 and (state = 'planned' or (state = 'sent' and lane_id = $3 and nonce = $4))",
        stored(one.batch),
        one.target.0,
        lane,
        stored(one.nonce)
    )
    .execute(&mut *connection)
    .await?;
    crate::ledger::exactly_one(done.rows_affected(), "anchor that waits")?;
    attempts::insert(connection, one.target, one.batch, &one.attempt).await?;
    let note = format!("found on the chain: nonce {}, 0x{}", one.nonce, hex::encode(one.attempt.tx_hash));
    history(connection, one.batch, one.target, "sent", Some(&note)).await
}
