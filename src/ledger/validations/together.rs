//! Submissions of which some documents are to wait and the others are not.

use sceau_verifier::Salt;
use sqlx::postgres::PgConnection;

use super::super::accounts::AccountId;
use super::super::intake::promises::Offer;
use super::super::intake::{Accepted, Submission, patiently};
use super::super::{Ledger, LedgerError, Result, fixed, natural};
use super::wait::plain;
use super::{Asked, Rounds};

impl Ledger {
    /// Stores what is to wait and accepts what is not, in one transaction: all of it, or nothing. Answers one an item of each,
    /// in their order. `direct` is of the same account, has none of the digests that are to wait, and a salt each in `salts`. It
    /// does not go through the intake, and so shares no commit; one such transaction is under way at a time, since those of one
    /// account would stand behind each other with a connection each, and the intake's lanes behind them.
    ///
    /// *Crash before the commit*: nothing is stored. *After it, before the answer*: asking again with the same `rounds` and
    /// `salts` is answered as the first time, and with others as what was there before.
    ///
    /// # Errors
    /// [`LedgerError::TooFewValidators`], [`LedgerError::OverQuota`], [`LedgerError::Held`] (one of `direct`): nothing is stored
    /// then.
    pub async fn await_and_accept(
        &self,
        account: AccountId,
        rounds: &Rounds,
        direct: &[Submission],
        salts: &[Salt],
    ) -> Result<(Vec<Asked>, Vec<Accepted>)> {
        let _turn = self.together.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let once = |offer: Offer| async move {
            let mut transaction = self.pool().begin().await?;
            let asked = rounds.ask(account, &mut *transaction).await?;
            // Last, as everywhere: it takes the account's numbers and the lock of the open batch.
            let accepted = accept(&mut transaction, direct, salts, &offer).await?;
            transaction.commit().await?;
            Ok((asked, accepted))
        };
        let stored = patiently(self, || self.with_offer(once)).await;
        let events = self.events();
        match &stored {
            Ok((_, accepted)) => {
                let fresh = accepted.iter().filter(|one| one.fresh).count() as u64;
                events.accepted.inc_by(fresh);
                events.repeated.inc_by(accepted.len() as u64 - fresh);
            }
            Err(LedgerError::Held) => {}
            Err(error) => {
                let reason = if matches!(error, LedgerError::OverQuota(_)) { "quota" } else { "database" };
                events.refused.get_or_create(&[("reason", reason)]).inc();
            }
        }
        stored
    }
}

/// As the intake does where digests were there before.
async fn accept(connection: &mut PgConnection, items: &[Submission], salts: &[Salt], offer: &Offer) -> Result<Vec<Accepted>> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let accounts: Vec<i64> = items.iter().map(|item| item.account.0).collect();
    let digests: Vec<&[u8]> = items.iter().map(|item| item.digest.as_ref()).collect();
    let salts: Vec<&[u8]> = salts.iter().map(AsRef::as_ref).collect();
    let details: Vec<Option<serde_json::Value>> = items.iter().map(|item| item.detail.as_ref().map(plain)).collect();
    let rows = sqlx::query!(
        r#"select ord as "ord!", salt as "salt!", batch as "batch!", received_at as "received_at!", fresh as "fresh!",
             number as "number!", anchor_by
           from accept_proofs($1, $2, $3, $4, $5, $6), refuse_held($1, $2)"#,
        &accounts,
        &digests as _,
        &salts as _,
        &details as _,
        offer.since.as_deref() as _,
        offer.anchor_by.as_deref() as _,
    );
    let mut rows = rows.fetch_all(connection).await.map_err(LedgerError::from_sql)?;
    rows.sort_unstable_by_key(|row| row.ord);
    if rows.len() != items.len() {
        return Err(LedgerError::Damaged(format!("accept_proofs answered {} of {} items", rows.len(), items.len())));
    }
    let told = items.iter().zip(rows).map(|(item, row)| {
        Ok(Accepted {
            digest: item.digest,
            salt: fixed::<16>(&row.salt, "proofs.salt")?.into(),
            batch: natural(row.batch, "proofs.batch")?,
            received_at: row.received_at,
            fresh: row.fresh,
            number: natural(row.number, "proofs.number")?,
            anchor_by: row.anchor_by,
        })
    });
    told.collect()
}
