//! Tokens given and refused, for the log. Nobody waits for it: what happened is gathered and written every few seconds, so a
//! crash loses what was gathered, and an attacker neither slows the routes nor fills the disk.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::ledger::Ledger;
use crate::ledger::accounts::AccountId;
use crate::ledger::accounts::audit_log::Event;

/// Events are gathered so long.
const GATHERED: Duration = Duration::from_secs(5);
/// Events that wait at most; what comes then is not noted.
const WAITING: usize = 4_096;
/// Rows written at once; what does not fit in is counted in one more.
const ROWS: usize = 50;

/// Something that happened. Equal ones within a few seconds are one row with their count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Happened {
    account: Option<AccountId>,
    address: Option<IpAddr>,
    /// `None`: a token was given.
    refused: Option<&'static str>,
    /// By which credential; nothing that a stranger chose.
    by: String,
}

/// Where it is told. Cloning is cheap; the default one forgets everything.
#[derive(Debug, Clone, Default)]
pub struct Journal(Option<Sender<Happened>>);

impl Journal {
    /// The journal, and what writes it to the log until every journal is gone.
    pub fn start(ledger: Ledger) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(Some(sender)), write(ledger, receiver))
    }

    /// A token was given to `account` for the credential `by`.
    pub fn issued(&self, account: AccountId, address: Option<IpAddr>, by: &str) {
        self.tell(Happened { account: Some(account), address, refused: None, by: by.into() });
    }

    /// Somebody was not let in. `account` is whose key it was, where it is one.
    pub fn refused(&self, account: Option<AccountId>, address: Option<IpAddr>, why: &'static str) {
        self.tell(Happened { account, address, refused: Some(why), by: String::new() });
    }

    fn tell(&self, happened: Happened) {
        if let Some(sender) = &self.0 {
            // Full: whoever attacks would only like to be waited for.
            let _ = sender.try_send(happened);
        }
    }
}

async fn write(ledger: Ledger, mut receiver: Receiver<Happened>) {
    let mut gathered = HashMap::new();
    loop {
        let Some(first) = receiver.recv().await else { return };
        *gathered.entry(first).or_insert(0_u64) += 1;
        let until = tokio::time::Instant::now() + GATHERED;
        let open = loop {
            match tokio::time::timeout_at(until, receiver.recv()).await {
                Ok(Some(happened)) => *gathered.entry(happened).or_insert(0) += 1,
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        let events = rows(gathered.drain());
        if let Err(error) = ledger.note(&events).await {
            tracing::warn!(%error, lost = events.len(), "tokens given and refused could not be noted in the log");
        }
        if !open {
            return;
        }
    }
}

/// One row for each, the most frequent first; tokens given are never among those that are only counted together.
fn rows(gathered: impl Iterator<Item = (Happened, u64)>) -> Vec<Event> {
    let mut all: Vec<(Happened, u64)> = gathered.collect();
    all.sort_by_key(|(happened, count)| (happened.refused.is_some(), std::cmp::Reverse(*count)));
    let given = all.iter().filter(|(happened, _)| happened.refused.is_none()).count();
    let rest = all.split_off(all.len().min(given + ROWS));
    let mut events: Vec<Event> = all.into_iter().map(|(happened, count)| row(happened, count)).collect();
    if !rest.is_empty() {
        let count: u64 = rest.iter().map(|(_, count)| count).sum();
        let detail = json!({ "count": count, "reason": "various", "places": rest.len() });
        events.push(Event { actor: "stranger".into(), action: "token.refused", account: None, address: None, detail });
    }
    events
}

fn row(happened: Happened, count: u64) -> Event {
    let Happened { account, address, refused, by } = happened;
    let actor = account.filter(|_| refused.is_none()).map_or_else(|| "stranger".into(), |id| format!("account {}", id.0));
    let (action, detail): (_, Value) = match refused {
        None => ("token.given", json!({ "by": by, "count": count })),
        Some(reason) => ("token.refused", json!({ "reason": reason, "count": count })),
    };
    Event { actor, action, account, address, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(place: u32) -> (Happened, u64) {
        (Happened { account: None, address: Some(IpAddr::V4(place.into())), refused: Some("unknown_key"), by: String::new() }, 2)
    }

    #[test]
    fn an_attack_from_everywhere_is_a_bounded_number_of_rows_and_hides_no_token() {
        let given = (0..70)
            .map(|id| (Happened { account: Some(AccountId(id)), address: None, refused: None, by: format!("ck_{id}") }, 1));
        let rows = rows((0..10_000).map(refused).chain(given));
        assert_eq!(rows.len(), 70 + ROWS + 1);
        assert_eq!(rows.iter().filter(|row| row.action == "token.given").count(), 70);
        let counted: u64 =
            rows.iter().filter(|row| row.action == "token.refused").filter_map(|row| row.detail["count"].as_u64()).sum();
        assert_eq!(counted, 20_000);
    }

    #[test]
    fn equal_events_are_one_row_and_what_a_stranger_sends_is_not_in_it() {
        let rows = rows([refused(1)].into_iter());
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].detail.clone(), &*rows[0].actor), (json!({ "reason": "unknown_key", "count": 2 }), "stranger"));
    }
}
