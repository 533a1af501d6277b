//! Tables `targets` and `lanes`: the registries we anchor in, and the signers' nonces; beside them all that is known of a registry,
//! its chain and its endpoints whatever the batch.

pub mod asides;
pub mod continuity;
pub mod finality;
pub mod funds;
pub mod policy;

use super::{Ledger, LedgerError, Result, fixed, natural, stored};

/// Identifies a target inside this deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TargetId(pub i32);

/// A registry as it was when it was first used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewTarget {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Address of the registry.
    pub registry: [u8; 20],
    /// Its first batch number.
    pub first_number: u64,
    /// keccak256 of its code.
    pub code_hash: [u8; 32],
}

/// Identifies the nonce sequence of one signer on one chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneId(pub i32);

impl Ledger {
    /// Pins a target at first use and plans the anchors of all batches it is to have, in one transaction. A known target
    /// is answered as it is.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] when the registry is known with another first number or code: then the endpoint serves
    /// another chain, or somebody else's contract.
    pub async fn pin_target(&self, target: &NewTarget) -> Result<TargetId> {
        let mut transaction = self.pool().begin().await?;
        let made = sqlx::query_scalar!(
            "insert into targets (chain_id, registry, first_number, code_hash) values ($1, $2, $3, $4)
             on conflict on constraint targets_registry_key do nothing returning id",
            stored(target.chain_id),
            &target.registry,
            stored(target.first_number),
            &target.code_hash,
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let row = sqlx::query!(
            "select id, first_number, code_hash from targets where chain_id = $1 and registry = $2",
            stored(target.chain_id),
            &target.registry
        )
        .fetch_one(&mut *transaction)
        .await?;
        if natural(row.first_number, "targets.first_number")? != target.first_number || row.code_hash != target.code_hash {
            return Err(LedgerError::Damaged(format!(
                "the registry 0x{} on eip155:{} is not the contract that was there at first use; check the endpoint",
                hex::encode(target.registry),
                target.chain_id
            )));
        }
        if made.is_some() {
            sqlx::query!(
                "with planned as (
                   insert into anchors (batch, target_id, state) select number, $1, 'planned' from batches
                     where state in ('sealed', 'lost') and number >= $2
                   returning batch, target_id, state
                 )
                 insert into anchor_history (batch, target_id, state) select batch, target_id, state from planned",
                row.id,
                row.first_number
            )
            .execute(&mut *transaction)
            .await?;
            // Nothing of ours is there yet. If there is after all, comparing tells.
            sqlx::query!(
                "insert into continuity (target_id, system_identifier, timeline, database_oid)
                 select $1, s.system_identifier, c.timeline_id, d.oid::bigint
                   from pg_control_system() s, pg_control_checkpoint() c, pg_database d where d.datname = current_database()",
                row.id
            )
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(TargetId(row.id))
    }

    /// Whether any target was ever pinned on `chain_id`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn registries(&self, chain_id: u64) -> Result<Vec<[u8; 20]>> {
        sqlx::query_scalar!("select registry from targets where chain_id = $1 order by id", stored(chain_id))
            .fetch_all(self.pool())
            .await?
            .iter()
            .map(|registry| fixed(registry, "targets.registry"))
            .collect()
    }

    /// The chains of all targets that were ever pinned, by id.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn chains(&self) -> Result<Vec<u64>> {
        sqlx::query_scalar!("select distinct chain_id from targets order by chain_id")
            .fetch_all(self.pool())
            .await?
            .into_iter()
            .map(|id| natural(id, "targets.chain_id"))
            .collect()
    }

    /// The lane of a signer and the nonce its next transaction takes; made with `nonce` where it is new.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn lane(&self, chain_id: u64, signer: &[u8; 20], nonce: u64) -> Result<(LaneId, u64)> {
        sqlx::query!(
            "insert into lanes (chain_id, signer, next_nonce) values ($1, $2, $3) on conflict on constraint lanes_signer_key do nothing",
            stored(chain_id),
            signer,
            stored(nonce)
        )
        .execute(self.pool())
        .await?;
        let row = sqlx::query!("select id, next_nonce from lanes where chain_id = $1 and signer = $2", stored(chain_id), signer)
            .fetch_one(self.pool())
            .await?;
        Ok((LaneId(row.id), natural(row.next_nonce, "lanes.next_nonce")?))
    }
}
