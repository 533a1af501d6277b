//! An account's proofs by their numbers, page by page. Each page is a bounded amount of work, so a page may be short, or empty,
//! although others follow: `next` says where to go on.

use std::collections::HashSet;

use sceau_verifier::{Digest, Salt};
use time::{Duration, OffsetDateTime};

use crate::ledger::accounts::AccountId;
use crate::ledger::intake::Detail;
use crate::ledger::proofs::Status;
use crate::ledger::{Ledger, LedgerError, Result, fixed, natural, stored};

/// Proofs looked at for one page at most.
const LOOKED_AT: usize = 5_000;
/// Proofs read at once.
const CHUNK: usize = 1_000;
/// Times ascend with the numbers but for what the server's clock was set back: so much is allowed for.
const SLACK: Duration = Duration::minutes(1);

/// Which proofs are wanted: those that meet all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// How far they are: pending, sealed, anchored or final.
    pub status: Option<Status>,
    /// A label they have.
    pub label: Option<String>,
    /// What stands in their file name, in any case.
    pub file_name: Option<String>,
    /// Received at this moment or later.
    pub received_from: Option<OffsetDateTime>,
    /// Received before this moment.
    pub received_to: Option<OffsetDateTime>,
    /// Their batch.
    pub batch: Option<u64>,
}

/// One proof.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its number.
    pub number: u64,
    /// The digest, of an erased proof too.
    pub digest: Digest,
    /// Its salt; `None`: erased.
    pub salt: Option<Salt>,
    /// Its batch.
    pub batch: u64,
    /// Database time of acceptance.
    pub received_at: OffsetDateTime,
    /// Until when it was promised to be anchored, where that was kept.
    pub anchor_by: Option<OffsetDateTime>,
    /// How far it is.
    pub status: Status,
    /// What was said about it.
    pub detail: Detail,
    /// When it was erased.
    pub erased_at: Option<OffsetDateTime>,
}

/// Some of the wanted proofs, in the order of their numbers.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The proofs.
    pub proofs: Vec<Listed>,
    /// Behind which number to go on; `None` when there are no more.
    pub next: Option<u64>,
}

struct Row {
    number: i64,
    digest: Vec<u8>,
    salt: Option<Vec<u8>>,
    batch: i64,
    received_at: OffsetDateTime,
    anchor_by: Option<OffsetDateTime>,
    file_name: Option<String>,
    reference: Option<String>,
    labels: Option<Vec<String>>,
    metadata: Option<serde_json::Value>,
    erased_at: Option<OffsetDateTime>,
}

impl Ledger {
    /// The wanted proofs behind number `after`, `limit` at most.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn list(&self, account: AccountId, filter: &Filter, after: u64, limit: usize) -> Result<Page> {
        let (mut low, mut high) = (stored(after) + 1, self.newest_number(account).await?);
        if let Some(from) = filter.received_from {
            low = low.max(self.number_at(account, from.saturating_sub(SLACK)).await?);
        }
        if let Some(to) = filter.received_to {
            high = high.min(self.number_at(account, to.saturating_add(SLACK)).await? - 1);
        }
        if let Some(batch) = filter.batch {
            let (first, last) = self.numbers_of(account, batch).await?;
            (low, high) = (low.max(first), high.min(last));
        }
        // Few batches are not final, so they are named: the numbers of those that are wanted, or those that are not.
        let (mut ranges, mut excluded) = (vec![(low, high)], HashSet::new());
        if let Some(wanted) = filter.status {
            let unfinished = self.not_final().await?;
            match wanted {
                Status::Final => excluded = unfinished.into_iter().map(|(batch, _)| batch).collect(),
                _ => {
                    let batches = unfinished.into_iter().filter(|(_, status)| *status == wanted).map(|(batch, _)| batch);
                    ranges = self.ranges(account, batches.collect(), low, high).await?;
                }
            }
        }
        let name = filter.file_name.as_deref().map(str::to_lowercase);
        let meets = |row: &Row| {
            filter.received_from.is_none_or(|from| row.received_at >= from)
                && filter.received_to.is_none_or(|to| row.received_at < to)
                && !excluded.contains(&row.batch)
                && name.as_ref().is_none_or(|name| row.file_name.as_ref().is_some_and(|text| text.to_lowercase().contains(name)))
        };
        let (mut rows, mut looked, mut next) = (Vec::new(), 0, None);
        'ranges: for (first, last) in ranges {
            let mut from = first.max(low);
            let last = last.min(high);
            while from <= last {
                let chunk = self.chunk(account, filter.label.as_deref(), (from, last), CHUNK).await?;
                let whole = chunk.len() < CHUNK;
                for row in chunk {
                    (from, looked) = (row.number + 1, looked + 1);
                    if meets(&row) {
                        rows.push(row);
                    }
                    if rows.len() == limit || looked == LOOKED_AT {
                        next = Some(from - 1).filter(|number| *number < high);
                        break 'ranges;
                    }
                }
                if whole {
                    break;
                }
            }
        }
        let batches: HashSet<i64> = rows.iter().map(|row| row.batch).collect();
        let batches = batches.into_iter().map(|batch| natural(batch, "proofs.batch")).collect::<Result<Vec<_>>>()?;
        let statuses = if batches.is_empty() { Default::default() } else { self.batch_statuses(&batches).await? };
        let proofs = rows.into_iter().map(|row| {
            let batch = natural(row.batch, "proofs.batch")?;
            let status = statuses.get(&batch).copied();
            row.listed(status.ok_or_else(|| LedgerError::Damaged(format!("batch {batch} does not exist")))?)
        });
        let mut proofs = proofs.collect::<Result<Vec<_>>>()?;
        // A batch may have gone on since it was asked for.
        proofs.retain(|proof| filter.status.is_none_or(|wanted| proof.status == wanted));
        let next = next.map(|number| natural(number, "proofs.number")).transpose()?;
        Ok(Page { proofs, next })
    }

    async fn chunk(&self, account: AccountId, label: Option<&str>, (first, last): (i64, i64), most: usize) -> Result<Vec<Row>> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = match label {
            None => {
                sqlx::query_as!(
                    Row,
                    r#"select p.number, coalesce(e.digest, p.digest) as "digest!", p.salt, p.batch, p.received_at, p.anchor_by,
                         d.file_name as "file_name?", d.reference as "reference?", d.labels as "labels?", d.metadata as "metadata?",
                         e.erased_at as "erased_at?"
                       from (
                         select * from proofs o where o.account_id = $1 and o.number between $2 and $3 order by o.number limit $4
                       ) p
                         left join proof_details d on d.account_id = p.account_id and d.digest = p.digest
                         left join erasures e on e.account_id = p.account_id and e.number = p.number
                       order by p.number"#,
                    account.0,
                    first,
                    last,
                    most
                )
                .fetch_all(self.pool())
                .await?
            }
            Some(label) => {
                sqlx::query_as!(
                    Row,
                    r#"select p.number, p.digest, p.salt, p.batch, p.received_at, p.anchor_by, d.file_name as "file_name?",
                         d.reference as "reference?", d.labels as "labels?", d.metadata as "metadata?",
                         null::timestamptz as erased_at
                       from (
                         select k.number from proof_labels k
                         where k.account_id = $1 and k.label = $5 and k.number between $2 and $3 order by k.number limit $4
                       ) l
                         join proofs p on p.account_id = $1 and p.number = l.number
                         left join proof_details d on d.account_id = p.account_id and d.digest = p.digest
                       order by p.number"#,
                    account.0,
                    first,
                    last,
                    most,
                    label
                )
                .fetch_all(self.pool())
                .await?
            }
        };
        Ok(rows)
    }
}

impl Row {
    fn listed(self, status: Status) -> Result<Listed> {
        let metadata = match self.metadata {
            None => None,
            Some(serde_json::Value::Object(map)) => Some(map),
            Some(_) => return Err(LedgerError::Damaged("proof_details.metadata is no object".into())),
        };
        let salt = self.salt.map(|salt| Ok::<Salt, LedgerError>(fixed::<16>(&salt, "proofs.salt")?.into())).transpose()?;
        let Self { file_name, reference, labels, .. } = self;
        Ok(Listed {
            number: natural(self.number, "proofs.number")?,
            digest: fixed::<32>(&self.digest, "proofs.digest")?.into(),
            salt,
            batch: natural(self.batch, "proofs.batch")?,
            received_at: self.received_at,
            anchor_by: self.anchor_by,
            status,
            detail: Detail { file_name, reference, labels, metadata, visible: false },
            erased_at: self.erased_at,
        })
    }
}
