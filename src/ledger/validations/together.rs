//! Submissions of which some documents are to wait and the others are not.

use sceau_verifier::Salt;

use super::super::accounts::AccountId;
use super::super::intake::promises::Offer;
use super::super::intake::{Accepted, Submission, accept_any, patiently};
use super::super::{Ledger, LedgerError, Result};
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
        rounds: &Rounds<'_>,
        direct: &[Submission],
        salts: &[Salt],
    ) -> Result<(Vec<Asked>, Vec<Accepted>)> {
        let _turn = self.together.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let once = |offer: Offer| async move {
            let mut transaction = self.pool().begin().await?;
            let asked = rounds.ask(account, &mut *transaction).await?;
            // Last, as everywhere: it takes the account's numbers and the lock of the open batch.
            let (direct, salts): (Vec<&Submission>, Vec<&[u8]>) = direct.iter().zip(salts.iter().map(AsRef::as_ref)).unzip();
            let accepted = accept_any(&mut transaction, &direct, &salts, &offer).await?;
            transaction.commit().await?;
            Ok((asked, accepted))
        };
        let stored = patiently(self, || self.with_offer(once)).await;
        let events = self.events();
        match &stored {
            Ok((_, accepted)) => {
                events.acknowledged(accepted.len(), accepted.iter().filter(|one| one.fresh).count());
            }
            Err(LedgerError::Held) => {}
            Err(error) => {
                events.refused.get_or_create(&[("reason", error.reason())]).inc();
            }
        }
        stored
    }
}
