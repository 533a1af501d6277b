//! How a history ends, and what must hold at every moment of it.

use std::sync::Arc;

use alloy::primitives::B256;
use sceau::audit::{self, Witness};
use sceau::chain::Chain;
use sceau_verifier::Digest;

use super::history::{History, LAG};
use crate::model::{Fate, Model, Moods, World};

impl History<'_> {
    /// One endpoint leaves for a world of its own, one that did goes on there, or comes back.
    pub(super) fn stir_peers(&mut self) {
        if self.rng.chance(40) {
            let went_on = self.peers.iter().filter(|peer| peer.go_on()).count();
            self.tell(format!("{went_on} endpoint goes on alone"));
            return;
        }
        self.peers.iter().for_each(|peer| peer.catch_up());
        if self.rng.chance(70) {
            let (who, depth, blocks) = (self.rng.below(3), self.rng.below(LAG + 1), self.rng.below(2 * LAG));
            let fate = [Fate::Later, Fate::Pooled, Fate::Dropped][self.rng.below(3) as usize];
            self.tell(format!("endpoint {who} forks {depth} below the head, {fate:?}, {blocks} blocks on"));
            self.peers[who as usize].fork(depth, fate, blocks);
        } else {
            self.tell("all endpoints see the same");
        }
    }

    /// Whatever moves: what counts as final stands on the chain, in a final block.
    pub async fn check_finals(&mut self) -> Result<(), String> {
        let finals: Vec<(i64, i64, Vec<u8>)> =
            sqlx::query_as("select batch, block_number, block_hash from anchors where state = 'final'")
                .fetch_all(&self.site.database.pool)
                .await
                .expect("anchors");
        for (batch, number, hash) in finals {
            let (block, end) = self.model.world(|world| (world.block(number.unsigned_abs()), world.finalized()));
            if block.is_none_or(|block| block.hash != B256::from_slice(&hash)) || end.number < number.unsigned_abs() {
                return Err(format!("batch {batch} counts as final in block {number}, which is not"));
            }
        }
        Ok(())
    }

    /// Nothing bad happens any more; everything comes to its end.
    pub async fn settle(&mut self) -> Result<(), String> {
        self.tell("quiet from here on");
        self.peers.iter().for_each(|peer| peer.catch_up());
        self.quiet = true;
        self.model.set_moods(Moods::default());
        self.model.catch_up();
        self.model.world(|world| {
            world.base_fee = 1_000_000_000;
            world.broke = false;
        });
        self.seal().await?;
        for round in 0..120 {
            self.step(round % 2, false).await?;
            self.check_finals().await?;
            let left: i64 = sqlx::query_scalar("select count(*) from anchors where state <> 'final'")
                .fetch_one(&self.site.database.pool)
                .await
                .expect("a count");
            if left == 0 {
                return Ok(());
            }
            (0..2).for_each(|_| self.model.world(World::mine));
        }
        Err("it does not settle".into())
    }

    pub(super) async fn judge(&mut self) -> Result<(), String> {
        let chain: Arc<dyn Chain> = Arc::<Model>::clone(&self.model);
        let witness = Witness { chain, depth: None, evidence: false };
        let report = audit::run(&self.site.ledger, &[witness], |_| ()).await.expect("a report");
        // The pool was empty when nothing was ever stepped.
        let pinned = report.findings.iter().all(|finding| finding.table == "targets") && self.acknowledged.is_empty();
        if !report.is_clean() && !pinned {
            return Err(format!("the audit found {:?}", report.findings));
        }
        let stored: Vec<(Vec<u8>, i64)> =
            sqlx::query_as("select digest, batch from proofs").fetch_all(&self.site.database.pool).await.expect("proofs");
        if stored.len() != self.acknowledged.len() {
            return Err(format!("{} digests were acknowledged, {} are stored", self.acknowledged.len(), stored.len()));
        }
        for (digest, batch) in stored {
            let digest = Digest::from(<[u8; 32]>::try_from(digest).expect("32 bytes"));
            if self.acknowledged.get(&digest) != Some(&batch.unsigned_abs()) {
                return Err(format!("{digest} is in batch {batch}, acknowledged for {:?}", self.acknowledged.get(&digest)));
            }
        }
        let sealed: i64 = sqlx::query_scalar("select count(*) from batches where state = 'sealed'")
            .fetch_one(&self.site.database.pool)
            .await
            .expect("a count");
        let (transactions, reverted) = self.model.world(|world| world.transactions());
        let last = self.model.world(|world| world.last_number());
        if (transactions as i64, reverted, last as i64) != (sealed, 0, sealed) {
            return Err(format!(
                "{sealed} batches, {transactions} transactions ({reverted} reverted), the registry's newest is {last}"
            ));
        }
        Ok(())
    }
}
