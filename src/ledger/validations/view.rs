//! How documents stand with their validators, for those who may know.

use std::collections::HashMap;

use sceau_verifier::Digest;
use uuid::Uuid;

use super::super::accounts::AccountId;
use super::super::intake::Detail;
use super::super::{Ledger, LedgerError, Result, fixed};
use super::{Decision, State, Validation, Waiting, choice, few};

/// A row of `validations` with its owner's name.
pub(super) struct Row {
    id: Uuid,
    account_id: i64,
    account_name: String,
    digest: Vec<u8>,
    salt: Vec<u8>,
    details: Option<serde_json::Value>,
    state: String,
    approvals_needed: i16,
    received_at: time::OffsetDateTime,
    settled_at: Option<time::OffsetDateTime>,
}

impl Ledger {
    /// A round of validation, as its owner and the owner's validators may see it; `None` for everybody else, and when
    /// there is none.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn validation(&self, id: Uuid, viewer: AccountId) -> Result<Option<Validation>> {
        let row = sqlx::query_as!(
            Row,
            "select w.id, w.account_id, a.name as account_name, w.digest, w.salt, w.details, w.state, w.approvals_needed,
               w.received_at, w.settled_at
             from validations w join accounts a on a.id = w.account_id
             where w.id = $1 and (w.account_id = $2 or exists (
               select from validators v where v.account_id = w.account_id and v.validator_id = $2 and v.removed_at is null))",
            id,
            viewer.0
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(self.whole(row.into_iter().collect()).await?.pop())
    }

    /// The newest round of the account's document; `None` when it never was to wait.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn validation_of(&self, account: AccountId, digest: &Digest) -> Result<Option<Validation>> {
        let row = sqlx::query_as!(
            Row,
            "select w.id, w.account_id, a.name as account_name, w.digest, w.salt, w.details, w.state, w.approvals_needed,
               w.received_at, w.settled_at
             from validations w join accounts a on a.id = w.account_id
             where w.account_id = $1 and w.digest = $2 order by w.round desc limit 1",
            account.0,
            digest.as_ref()
        )
        .fetch_optional(self.pool())
        .await?;
        Ok(self.whole(row.into_iter().collect()).await?.pop())
    }

    /// The approvals that made the account's proof of `digest` one, in order of time; none when nobody was asked.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn approvals_of(&self, account: AccountId, digest: &Digest) -> Result<Vec<Decision>> {
        let validation = self.validation_of(account, digest).await?.filter(|validation| validation.state == State::Accepted);
        Ok(validation.map(|validation| validation.decisions).unwrap_or_default())
    }

    /// Which of these digests of the account wait for validators or were refused, and how they stand.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn held(&self, account: AccountId, digests: &[Digest]) -> Result<HashMap<Digest, Waiting>> {
        let digests: Vec<&[u8]> = digests.iter().map(AsRef::as_ref).collect();
        let rows = sqlx::query!(
            r#"select distinct on (w.digest) w.id, w.digest, w.salt, w.state, w.approvals_needed, w.received_at,
                 (select count(*) from decisions d where d.validation_id = w.id and d.decision = 'approved') as "approvals!"
               from validations w
               where w.account_id = $1 and w.digest = any($2) and w.state <> 'accepted'
                 and not exists (select from proofs p where p.account_id = w.account_id and p.digest = w.digest)
               order by w.digest, w.round desc"#,
            account.0,
            &digests as _
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|row| {
                let digest = fixed::<32>(&row.digest, "validations.digest")?.into();
                let waiting = Waiting {
                    id: row.id,
                    digest,
                    salt: fixed::<16>(&row.salt, "validations.salt")?.into(),
                    state: State::parse(&row.state)?,
                    approvals: few(row.approvals)?,
                    approvals_needed: few(row.approvals_needed.into())?,
                    received_at: row.received_at,
                    fresh: false,
                };
                Ok((digest, waiting))
            })
            .collect()
    }

    /// What waits for this validator: undecided by it, of accounts it decides for; by id, behind `after`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn waiting_for(&self, validator: AccountId, after: Option<Uuid>, limit: i64) -> Result<Vec<Validation>> {
        let rows = sqlx::query_as!(
            Row,
            "select w.id, w.account_id, a.name as account_name, w.digest, w.salt, w.details, w.state, w.approvals_needed,
               w.received_at, w.settled_at
             from validators v join validations w on w.account_id = v.account_id join accounts a on a.id = w.account_id
             where v.validator_id = $1 and v.removed_at is null and w.state = 'awaiting' and w.id > $2
               and not exists (select from decisions d where d.validation_id = w.id and d.validator_id = $1)
             order by w.id limit $3",
            validator.0,
            after.unwrap_or(Uuid::nil()),
            limit
        )
        .fetch_all(self.pool())
        .await?;
        self.whole(rows).await
    }

    /// The rows with their decisions.
    async fn whole(&self, rows: Vec<Row>) -> Result<Vec<Validation>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let found = sqlx::query!(
            "select d.validation_id, d.validator_id, a.name, d.decision, d.comment, d.decided_at, d.statement, d.digest
             from decisions d join accounts a on a.id = d.validator_id
             where d.validation_id = any($1) order by d.decided_at, d.validator_id",
            &ids
        )
        .fetch_all(self.pool())
        .await?;
        let mut decisions: HashMap<Uuid, Vec<Decision>> = HashMap::new();
        for row in found {
            decisions.entry(row.validation_id).or_default().push(Decision {
                validator: AccountId(row.validator_id),
                validator_name: row.name,
                choice: choice(&row.decision)?,
                comment: row.comment,
                decided_at: row.decided_at,
                statement: row.statement,
                digest: fixed::<32>(&row.digest, "decisions.digest")?.into(),
            });
        }
        rows.into_iter()
            .map(|row| {
                Ok(Validation {
                    id: row.id,
                    account: AccountId(row.account_id),
                    account_name: row.account_name,
                    digest: digest(&row.digest)?,
                    salt: fixed::<16>(&row.salt, "validations.salt")?.into(),
                    detail: detail(row.details)?,
                    state: State::parse(&row.state)?,
                    approvals_needed: few(row.approvals_needed.into())?,
                    received_at: row.received_at,
                    settled_at: row.settled_at,
                    decisions: decisions.remove(&row.id).unwrap_or_default(),
                })
            })
            .collect()
    }
}

/// The digest; of an erased document the leaf, which has a zero byte before it.
fn digest(stored: &[u8]) -> Result<Digest> {
    let place: Option<&[u8; 33]> = stored.try_into().ok();
    Ok(fixed::<32>(place.map_or(stored, |place| &place[1..]), "validations.digest")?.into())
}

fn detail(stored: Option<serde_json::Value>) -> Result<Detail> {
    let Some(stored) = stored else { return Ok(Detail::default()) };
    serde_json::from_value(stored).map_err(|error| LedgerError::Damaged(format!("validations.details: {error}")))
}
