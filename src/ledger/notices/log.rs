//! Table `account_events`: the log of an account, read.

use sceau_verifier::Digest;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::ledger::accounts::AccountId;
use crate::ledger::{Ledger, LedgerError, Result, fixed, natural, stored};

/// An event about so many proofs names their digests; of more it says the range only.
const MOST_DIGESTS: u64 = 100;

/// Types of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Kind {
    /// Their batch has a root.
    #[serde(rename = "proofs.sealed")]
    Sealed,
    /// Their batch stands in as many targets as it needs.
    #[serde(rename = "proofs.anchored")]
    Anchored,
    /// It does so finally.
    #[serde(rename = "proofs.final")]
    Final,
    /// A status was taken back: a reorganisation, or a recovery.
    #[serde(rename = "proofs.regressed")]
    Regressed,
    /// They should be anchored by now and are not.
    #[serde(rename = "proofs.overdue")]
    Overdue,
    /// A document waits for its validators.
    #[serde(rename = "document.awaiting")]
    Awaiting,
    /// It was approved and is a proof.
    #[serde(rename = "document.accepted")]
    Accepted,
    /// It was refused.
    #[serde(rename = "document.refused")]
    Refused,
    /// Somebody asked whether the webhook works.
    #[serde(rename = "webhook.test")]
    Test,
    /// The webhook was given up until its owner resumes it.
    #[serde(rename = "webhook.parked")]
    Parked,
}

impl Kind {
    /// Every type.
    pub const ALL: [Self; 10] = [
        Self::Sealed,
        Self::Anchored,
        Self::Final,
        Self::Regressed,
        Self::Overdue,
        Self::Awaiting,
        Self::Accepted,
        Self::Refused,
        Self::Test,
        Self::Parked,
    ];

    /// The word stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sealed => "proofs.sealed",
            Self::Anchored => "proofs.anchored",
            Self::Final => "proofs.final",
            Self::Regressed => "proofs.regressed",
            Self::Overdue => "proofs.overdue",
            Self::Awaiting => "document.awaiting",
            Self::Accepted => "document.accepted",
            Self::Refused => "document.refused",
            Self::Test => "webhook.test",
            Self::Parked => "webhook.parked",
        }
    }

    /// The type of that name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// The digests of the proofs an event is about, in the order of their numbers.
pub type Digests = Option<Vec<Digest>>;

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The account's proofs in one batch.
    Proofs {
        /// The batch.
        batch: u64,
        /// Number of the first of them.
        first: u64,
        /// Number of the last.
        last: u64,
        /// Their digests, when there are few.
        digests: Digests,
    },
    /// A document that waits, or waited, for validators.
    Document {
        /// The validation.
        validation: Uuid,
        /// Digest of the document.
        digest: Digest,
        /// Name of the account whose document it is.
        owner: String,
    },
    /// A webhook.
    Webhook(Uuid),
}

/// One event of an account's log. Printed as JSON it is what the API shows and what webhooks send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the log, from 1 without a hole.
    pub seq: u64,
    /// Names it everywhere and for ever.
    pub id: Uuid,
    /// What happened.
    pub kind: Kind,
    /// When it happened.
    pub at: OffsetDateTime,
    /// What it happened to.
    pub subject: Subject,
    /// Status before.
    pub before: Option<String>,
    /// Status since.
    pub status: String,
}

impl Event {
    /// The id as it is shown: the same at every delivery of the event.
    #[must_use]
    pub fn name(&self) -> String {
        format!("evt_{}", self.id.simple())
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct At(#[serde(with = "time::serde::rfc3339")] OffsetDateTime);
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("id", &self.name())?;
        map.serialize_entry("seq", &self.seq)?;
        map.serialize_entry("type", &self.kind)?;
        map.serialize_entry("timestamp", &At(self.at))?;
        map.serialize_entry("data", &Data(self))?;
        map.end()
    }
}

struct Data<'a>(&'a Event);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.0.subject {
            Subject::Proofs { batch, first, last, digests } => {
                map.serialize_entry("batch", batch)?;
                map.serialize_entry("first", first)?;
                map.serialize_entry("last", last)?;
                map.serialize_entry("count", &(last - first + 1))?;
                map.serialize_entry("status", &self.0.status)?;
                map.serialize_entry("before", &self.0.before)?;
                if let Some(digests) = digests {
                    map.serialize_entry("digests", digests)?;
                }
            }
            Subject::Document { validation, digest, owner } => {
                map.serialize_entry("validation", validation)?;
                map.serialize_entry("digest", digest)?;
                map.serialize_entry("account", owner)?;
                map.serialize_entry("state", &self.0.status)?;
            }
            Subject::Webhook(id) => map.serialize_entry("webhook", id)?,
        }
        map.end()
    }
}

/// A part of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Events in order.
    pub events: Vec<Event>,
    /// Number of the newest event of the log; 0: it is empty.
    pub last: u64,
}

impl Ledger {
    /// At most `limit` events of the account's log behind `after`.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn account_events(&self, account: AccountId, after: u64, limit: u32) -> Result<Page> {
        let mut transaction = self.pool().begin().await?;
        // One moment for both answers.
        sqlx::query!("set transaction isolation level repeatable read, read only").execute(&mut *transaction).await?;
        let last = sqlx::query_scalar!("select last from event_counters where account_id = $1", account.0)
            .fetch_optional(&mut *transaction)
            .await?
            .unwrap_or_default();
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let events = read(&mut transaction, account, after, None, None, limit.into()).await?;
        transaction.commit().await?;
        Ok(Page { events, last: natural(last, "event_counters.last")? })
    }

    /// Number of the newest event in each of these logs; those that are empty are left out.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn newest_events(&self, accounts: &[AccountId]) -> Result<Vec<(AccountId, u64)>> {
        let accounts: Vec<i64> = accounts.iter().map(|account| account.0).collect();
        let rows = sqlx::query!("select account_id, last from event_counters where account_id = any ($1)", &accounts)
            .fetch_all(self.pool())
            .await?;
        rows.into_iter().map(|row| Ok((AccountId(row.account_id), natural(row.last, "event_counters.last")?))).collect()
    }
}

/// Events of a log behind `after`, with the digests as they were submitted, those of erased proofs too: only these types, and tests of that webhook only, where something is given.
pub(super) async fn read(
    connection: &mut sqlx::PgConnection,
    account: AccountId,
    after: i64,
    types: Option<&[String]>,
    webhook: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Event>> {
    let rows = sqlx::query!(
        r#"select e.seq, e.id, e.type as "kind!", e.at, e.batch, e.first, e.last, e.validation_id, e.webhook_id, e.before, e.status,
             coalesce(w.digest, v.digest) as digest, o.name as "owner?", d.digests
           from account_events e
           left join validations v on v.id = e.validation_id
           left join accounts o on o.id = v.account_id
           left join erasures w on w.account_id = v.account_id and w.leaf = substr(v.digest, 2)
           left join lateral (
             select array_agg(coalesce(x.digest, p.digest) order by p.number) as digests from proofs p
             left join erasures x on x.account_id = p.account_id and x.number = p.number
             where p.account_id = e.account_id and p.number between e.first and e.last and e.last - e.first < $6
           ) d on true
           where e.account_id = $1 and e.seq > $2 and ($3::text[] is null or e.type = any ($3) or e.type = 'webhook.test')
             and ($4::uuid is null or e.type <> 'webhook.test' or e.webhook_id = $4)
           order by e.seq limit $5"#,
        account.0,
        after,
        types,
        webhook,
        limit,
        stored(MOST_DIGESTS),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let damaged = || LedgerError::Damaged(format!("event {} of account {}", row.seq, account.0));
            let subject = match (row.batch, row.first, row.last, row.validation_id, row.webhook_id) {
                (Some(batch), Some(first), Some(last), ..) => Subject::Proofs {
                    batch: natural(batch, "account_events.batch")?,
                    first: natural(first, "account_events.first")?,
                    last: natural(last, "account_events.last")?,
                    digests: row
                        .digests
                        .map(|all| all.iter().map(|digest| Ok(fixed::<32>(digest, "proofs.digest")?.into())).collect())
                        .transpose()
                        .map_err(|error: LedgerError| error)?,
                },
                (.., Some(validation), None) => Subject::Document {
                    validation,
                    digest: fixed::<32>(&row.digest.ok_or_else(damaged)?, "validations.digest")?.into(),
                    owner: row.owner.ok_or_else(damaged)?,
                },
                (.., Some(webhook)) => Subject::Webhook(webhook),
                _ => return Err(damaged()),
            };
            Ok(Event {
                seq: natural(row.seq, "account_events.seq")?,
                id: row.id,
                kind: Kind::parse(&row.kind).ok_or_else(damaged)?,
                at: row.at,
                subject,
                before: row.before,
                status: row.status,
            })
        })
        .collect()
}
