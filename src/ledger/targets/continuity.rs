//! Table `continuity`: whether this database goes on where the registries are, or was restored from an older copy.
//!
//! The verdict stands in the database, so that every instance knows it, also one that asks no chain; and it names the
//! server it was found on, so that a copy restored elsewhere does not inherit it.

use crate::ledger::targets::TargetId;
use crate::ledger::{Ledger, Result, natural, stored};

impl Ledger {
    /// Why nothing may be accepted, sealed or anchored; `None` when all is well. Of `targets` (chain id and registry)
    /// those count that were ever used.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn read_only(&self, targets: &[(u64, [u8; 20])]) -> Result<Option<String>> {
        let (chains, registries): (Vec<i64>, Vec<&[u8]>) =
            targets.iter().map(|(chain, registry)| (stored(*chain), registry.as_slice())).unzip();
        let row = sqlx::query!(
            r#"select t.chain_id, c.why
               from targets t
               join unnest($1::bigint[], $2::bytea[]) as wanted (chain_id, registry)
                 on wanted.chain_id = t.chain_id and wanted.registry = t.registry
               left join continuity c on c.target_id = t.id
                 and c.system_identifier = (select system_identifier from pg_control_system())
                 and c.timeline = (select timeline_id from pg_control_checkpoint())
                 and c.database_oid = (select oid::bigint from pg_database where datname = current_database())
               where c.target_id is null or c.why is not null
               order by c.why nulls last limit 1"#,
            &chains,
            &registries as _,
        )
        .fetch_optional(self.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let chain = natural(row.chain_id, "targets.chain_id")?;
        Ok(Some(row.why.unwrap_or_else(|| {
            format!("the database was restored or moved, and is not compared with the registry on eip155:{chain} yet")
        })))
    }

    /// Records how the database compares with a target's registry: what the chain has that it has not, or nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_continuity(&self, target: TargetId, why: Option<&str>) -> Result<()> {
        sqlx::query!(
            "insert into continuity (target_id, system_identifier, timeline, database_oid, why)
             select $1, s.system_identifier, c.timeline_id, d.oid::bigint, $2
               from pg_control_system() s, pg_control_checkpoint() c, pg_database d where d.datname = current_database()
             on conflict on constraint continuity_pkey do update set system_identifier = excluded.system_identifier,
               timeline = excluded.timeline, database_oid = excluded.database_oid, why = excluded.why, compared_at = clock_timestamp()",
            target.0,
            why
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// The nonce a signer's next transaction takes, `None` for one that never signed here.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn next_nonce(&self, chain_id: u64, signer: &[u8; 20]) -> Result<Option<u64>> {
        let nonce =
            sqlx::query_scalar!("select next_nonce from lanes where chain_id = $1 and signer = $2", stored(chain_id), signer);
        nonce.fetch_optional(self.pool()).await?.map(|nonce| natural(nonce, "lanes.next_nonce")).transpose()
    }
}
