//! The account's log against what it tells about: folded it is the status at every moment, and no change is left out,
//! however many there were between two looks.

use sceau::ledger::notices::{Kind, Subject};
use sceau::pipeline::Step;

use super::history::History;

impl History<'_> {
    /// Reads on in the log, and compares the newest word on each batch with how far it is.
    pub(super) async fn check_log(&mut self) -> Result<(), String> {
        while self.teller.step().await.map_err(|error| format!("telling: {error}"))? == Step::Worked {}
        let page = self.site.ledger.account_events(self.account, self.log.0, 1_000_000).await.expect("a page");
        for event in page.events {
            if event.seq != self.log.0 + 1 {
                return Err(format!("event {} follows {}", event.seq, self.log.0));
            }
            self.log.0 = event.seq;
            let Subject::Proofs { batch, first, last, digests } = event.subject else {
                return Err(format!("event {} is about no proofs", event.seq));
            };
            let told = self.log.1.entry(batch).or_insert_with(|| vec!["pending".into()]);
            if event.before.as_ref() != told.last() {
                return Err(format!("event {}: {:?} before, {:?} told before", event.seq, event.before, told.last()));
            }
            if (event.kind == Kind::Regressed) != (rank(&event.status) < rank(told.last().expect("one"))) {
                return Err(format!("event {} is {:?}: {:?}", event.seq, event.kind, event.status));
            }
            if digests.map_or(0, |digests| digests.len() as u64) != last - first + 1 {
                return Err(format!("event {} has not the digests of {first} to {last}", event.seq));
            }
            told.push(event.status);
        }
        let batches: Vec<u64> = self.log.1.keys().copied().collect();
        let statuses = self.site.ledger.batch_statuses(&batches).await.expect("statuses");
        for (batch, told) in &self.log.1 {
            if told.last().map(String::as_str) != Some(statuses[batch].as_str()) {
                return Err(format!("batch {batch} is {:?}, told: {told:?}", statuses[batch]));
            }
        }
        Ok(())
    }

    /// At the end: each batch was told exactly what its one anchor went through.
    pub(super) async fn judge_log(&mut self) -> Result<(), String> {
        self.check_log().await?;
        let history: Vec<(i64, String)> = sqlx::query_as("select batch, state from anchor_history order by batch, id")
            .fetch_all(&self.site.database.pool)
            .await
            .expect("history");
        let mut expected: std::collections::HashMap<u64, Vec<String>> = std::collections::HashMap::new();
        for (batch, state) in history {
            let status = match &*state {
                "included" => "anchored",
                "final" => "final",
                _ => "sealed",
            };
            let statuses = expected.entry(batch.unsigned_abs()).or_insert_with(|| vec!["pending".into()]);
            if statuses.last().map(String::as_str) != Some(status) {
                statuses.push(status.into());
            }
        }
        if expected != self.log.1 {
            return Err(format!("the log tells {:?}, what happened is {expected:?}", self.log.1));
        }
        Ok(())
    }
}

fn rank(status: &str) -> usize {
    ["pending", "sealed", "anchored", "final"].iter().position(|word| *word == status).expect("a status")
}
