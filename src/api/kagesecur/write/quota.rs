//! New digests a day, of each owner. The partner API refuses a submission as a whole; here each item stands for itself.

use std::collections::HashMap;

use sceau_verifier::Digest;
use time::OffsetDateTime;

use super::super::Dialect;
use super::item::Outcome;
use super::register::Job;
use crate::api::error::Result;
use crate::ledger::accounts::AccountId;
use crate::ledger::kagesecur::identities::Identity;

/// What the owners of one request may submit today, where they have a limit.
pub(super) struct Quotas<'a> {
    dialect: &'a Dialect,
    limits: HashMap<AccountId, u64>,
    now: OffsetDateTime,
}

impl<'a> Quotas<'a> {
    pub(super) fn of<'o>(dialect: &'a Dialect, owners: impl Iterator<Item = &'o Identity>, now: OffsetDateTime) -> Self {
        let limits = owners.filter_map(|owner| Some((owner.account, owner.limits.digests_per_day?))).collect();
        Self { dialect, limits, now }
    }

    /// Takes from `jobs` the new digests of owners that have fewer left, and says so in `settled`; `over` is one that is known
    /// to have none. What such an owner has registered before stays, as does everything of the others. Two questions to the
    /// database, whatever the number of owners.
    pub(super) async fn cut(
        &self,
        jobs: &mut Vec<Job>,
        settled: &mut Vec<(usize, Outcome)>,
        over: Option<AccountId>,
    ) -> Result<()> {
        let counted = |account: &AccountId| over == Some(*account) || self.limits.contains_key(account);
        let count = |pairs: &[(AccountId, Digest)]| {
            let mut counts: HashMap<AccountId, u64> = HashMap::new();
            for (account, _) in pairs {
                *counts.entry(*account).or_default() += 1;
            }
            counts
        };
        let mut asked: Vec<(AccountId, Digest)> = jobs.iter().map(|(_, job)| (job.account, job.digest)).collect();
        asked.retain(|(account, _)| counted(account));
        if asked.is_empty() {
            return Ok(());
        }
        let wanted = count(&asked);
        let accounts: Vec<AccountId> = wanted.keys().copied().collect();
        let used = self.dialect.api.ledger.used_today_by(&accounts, self.now).await?;
        let fits = |account: &AccountId, new: u64| {
            let used = used.get(account).copied().unwrap_or(0);
            over != Some(*account) && self.limits.get(account).is_none_or(|limit| used.saturating_add(new) <= *limit)
        };
        asked.retain(|(account, _)| !fits(account, wanted[account]));
        if asked.is_empty() {
            return Ok(());
        }
        let known = self.dialect.api.ledger.proofs_among(&asked).await?;
        asked.retain(|pair| !known.contains(pair));
        let new = count(&asked);
        jobs.retain(|(at, job)| {
            let refused =
                new.get(&job.account).is_some_and(|new| !fits(&job.account, *new)) && !known.contains(&(job.account, job.digest));
            if refused {
                settled.push((*at, Outcome::NONE_LEFT));
            }
            !refused
        });
        Ok(())
    }
}
