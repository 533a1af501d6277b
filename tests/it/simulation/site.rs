//! One database that histories use one after the other.

use std::sync::Arc;

use sceau::chain::signer::LocalWallet;
use sceau::ledger::Ledger;
use sqlx::Executor;

use crate::support::{self, Database};

/// First account of the test mnemonic.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

pub struct Site {
    pub database: Database,
    pub ledger: Ledger,
    pub wallet: Arc<LocalWallet>,
}

impl Site {
    pub async fn new() -> Self {
        let database = support::database().await;
        // What is simulated is not the disk.
        let fast = format!("alter database {} set synchronous_commit = off", database.name);
        sqlx::query(sqlx::AssertSqlSafe(fast)).execute(&database.pool).await.expect("superuser");
        let ledger = crate::ledger::promising(Ledger::connect(&database.url, 6).expect("a URL"));
        Self { database, ledger, wallet: Arc::new(LocalWallet::from_hex(&KEY.into()).expect("a key")) }
    }

    /// As migrated.
    pub async fn clear(&self) {
        let clear = "delete from attempts; delete from anchor_history; delete from anchors; delete from lanes; delete from finality; delete from continuity; \
            delete from targets; delete from tiles; delete from proof_details; delete from proofs; delete from account_numbers; delete from batch_accounts; delete from batches; \
            delete from credentials; delete from accounts; delete from leases; delete from asides; \
            insert into batches (number, state, opened_at) values (1, 'open', clock_timestamp())";
        self.database.pool.execute(clear).await.expect("cleared");
    }
}
