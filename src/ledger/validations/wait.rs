//! Submitting documents that are to wait.

use sceau_verifier::{Digest, Salt};
use sqlx::postgres::PgExecutor;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::accounts::AccountId;
use super::super::intake::{Accepted, Detail, patiently};
use super::super::{Ledger, LedgerError, Result, fixed, natural};
use super::{State, few};
use crate::ports::Ports;

/// One document that is to wait.
#[derive(Debug, Clone)]
pub struct Request {
    /// SHA-256 of the document.
    pub digest: Digest,
    /// What the submitter says about it. Strings must not contain U+0000.
    pub detail: Option<Detail>,
    /// Opens another round when the document was refused; else a refused one is answered as refused.
    pub again: bool,
}

/// Documents that are to wait, with what was drawn for them: whoever asks again with the same is answered as the first time.
#[derive(Debug)]
pub struct Rounds<'a> {
    items: &'a [Request],
    ids: Vec<Uuid>,
    salts: Vec<u8>,
}

impl<'a> Rounds<'a> {
    /// Draws an id and a salt for each.
    #[must_use]
    pub fn draw(items: &'a [Request], ports: &Ports) -> Self {
        let ids = ids(ports, items.len());
        let mut salts = vec![0; items.len() * Salt::LEN];
        ports.entropy.fill(&mut salts);
        Self { items, ids, salts }
    }

    /// What is to wait.
    #[must_use]
    pub fn items(&self) -> &'a [Request] {
        self.items
    }
}

/// A document that is durably stored with its validators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Names the round.
    pub id: Uuid,
    /// The document.
    pub digest: Digest,
    /// The salt of its entry, should it be accepted.
    pub salt: Salt,
    /// Awaiting or refused.
    pub state: State,
    /// Approvals there are.
    pub approvals: u32,
    /// Approvals it needs.
    pub approvals_needed: u32,
    /// Database time of its submission.
    pub received_at: OffsetDateTime,
    /// False when it was there before.
    pub fresh: bool,
}

/// What became of one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It waits, or was refused.
    Waiting(Waiting),
    /// It was a proof before: approved earlier, or submitted without validators.
    Accepted(Accepted),
}

/// Fresh ids that ascend with time (RFC 9562, version 7).
fn ids(ports: &Ports, count: usize) -> Vec<Uuid> {
    let millis = ports.clock.now().unix_timestamp_nanos() / 1_000_000;
    let millis = u64::try_from(millis).unwrap_or_default();
    let mut random = vec![0; count * 10];
    ports.entropy.fill(&mut random);
    random
        .as_chunks::<10>()
        .0
        .iter()
        .map(|random| uuid::Builder::from_unix_timestamp_millis(millis, random).into_uuid())
        .collect()
}

impl Ledger {
    /// Stores documents that are to wait for the account's validators; answers one an item, in order, once all are
    /// durable. Submitting again changes nothing.
    ///
    /// # Errors
    /// [`LedgerError::TooFewValidators`] when the account has fewer validators than it wants approvals: nothing is
    /// stored then.
    pub async fn await_validation(&self, account: AccountId, items: &[Request], ports: &Ports) -> Result<Vec<Asked>> {
        let rounds = Rounds::draw(items, ports);
        patiently(self, || rounds.ask(account, self.pool())).await
    }
}

impl Rounds<'_> {
    /// One statement.
    pub(super) async fn ask(&self, account: AccountId, connection: impl PgExecutor<'_>) -> Result<Vec<Asked>> {
        let Self { items, ids, salts } = self;
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let salts: Vec<&[u8]> = salts.chunks_exact(Salt::LEN).collect();
        let digests: Vec<&[u8]> = items.iter().map(|item| item.digest.as_ref()).collect();
        let again: Vec<bool> = items.iter().map(|item| item.again).collect();
        let details: Vec<Option<serde_json::Value>> =
            items.iter().map(|item| item.detail.as_ref().map(Detail::to_json)).collect();
        let rows = sqlx::query!(
            r#"select ord as "ord!", id, state as "state!", salt as "salt!", approvals_needed, approvals, batch,
                 received_at as "received_at!", fresh as "fresh!", number, anchor_by
               from await_validation($1, $2, $3, $4, $5, $6)"#,
            account.0,
            ids,
            &digests as _,
            &salts as _,
            &details as _,
            &again,
        )
        .fetch_all(connection)
        .await
        .map_err(LedgerError::from_sql)?;
        let mut answers: Vec<Option<Asked>> = vec![None; items.len()];
        for row in rows {
            let place = usize::try_from(row.ord - 1).ok().filter(|place| *place < items.len());
            let place = place.ok_or_else(|| LedgerError::Damaged(format!("await_validation answered item {}", row.ord)))?;
            let (digest, salt) = (items[place].digest, fixed::<16>(&row.salt, "salt")?.into());
            answers[place] = Some(match (row.batch, row.id) {
                (Some(batch), _) => {
                    let batch = natural(batch, "proofs.batch")?;
                    let number = natural(row.number.unwrap_or_default(), "proofs.number")?;
                    let (received_at, anchor_by) = (row.received_at, row.anchor_by);
                    Asked::Accepted(Accepted { digest, salt, batch, received_at, fresh: false, number, anchor_by })
                }
                (None, Some(id)) => Asked::Waiting(Waiting {
                    id,
                    digest,
                    salt,
                    state: State::parse(&row.state)?,
                    approvals: few(row.approvals.unwrap_or_default())?,
                    approvals_needed: few(row.approvals_needed.unwrap_or_default().into())?,
                    received_at: row.received_at,
                    fresh: row.fresh,
                }),
                (None, None) => return Err(LedgerError::Damaged("await_validation left an item unanswered".into())),
            });
        }
        let whole: Option<Vec<Asked>> = answers.into_iter().collect();
        whole.ok_or_else(|| LedgerError::Damaged("await_validation left an item unanswered".into()))
    }
}
