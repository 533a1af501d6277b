//! Submissions that wait, by account.
//!
//! Whoever commits an account's proofs holds its numbers until the commit: a second lane at work for the same account would only
//! wait for the first, with a part of what could have been committed together. So an account is one lane's at a time, and all
//! that waits for it goes together. Accounts take turns: one with much to submit does not hold up the others.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Job;
use crate::ledger::accounts::AccountId;

/// The queue, seen by those who hand in. The last one to let go of it ends the lanes, once nothing waits any more.
#[derive(Debug)]
pub(super) struct Entrance(Arc<Queue>);

/// The queue, seen by a lane. When the last lane is gone, nothing can be handed in.
#[derive(Debug)]
pub(super) struct Lane(Arc<Queue>);

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    /// There may be work for a lane.
    work: Notify,
}

#[derive(Debug, Default)]
struct State {
    jobs: HashMap<AccountId, VecDeque<Job>>,
    /// Accounts with jobs that no lane is at work for.
    turns: VecDeque<AccountId>,
    /// Accounts that a lane is at work for.
    busy: HashSet<AccountId>,
    lanes: usize,
    closed: bool,
}

/// Jobs of accounts that are this lane's until it is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    /// What to commit together.
    pub(super) jobs: Vec<Job>,
    accounts: Vec<AccountId>,
    queue: Arc<Queue>,
}

/// A queue for so many lanes.
pub(super) fn queue(lanes: usize) -> (Entrance, Vec<Lane>) {
    let queue = Arc::new(Queue::default());
    queue.state().lanes = lanes;
    let lanes = (0..lanes).map(|_| Lane(Arc::clone(&queue))).collect();
    (Entrance(queue), lanes)
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entrance {
    /// Hands in a job of at least one item; gives it back when no lane is left. What is of several accounts waits as the first one's.
    pub(super) fn push(&self, job: Job) -> Result<(), Job> {
        let Some(account) = job.items.first().map(|item| item.account) else { return Err(job) };
        {
            let mut state = self.0.state();
            if state.lanes == 0 {
                return Err(job);
            }
            let jobs = state.jobs.entry(account).or_default();
            let first = jobs.is_empty();
            jobs.push_back(job);
            if !first || state.busy.contains(&account) {
                return Ok(());
            }
            state.turns.push_back(account);
        }
        self.0.work.notify_one();
        Ok(())
    }

    /// Whether a lane is left.
    pub(super) fn is_alive(&self) -> bool {
        self.0.state().lanes > 0
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.0.state().closed = true;
        self.0.work.notify_waiters();
        // For a lane that has looked, and does not wait yet.
        self.0.work.notify_one();
    }
}

impl Lane {
    /// Waits for jobs and takes them: all that waits of one account after the other, until there are `group` items. `None` when
    /// nothing can come any more.
    pub(super) async fn take(&self, group: usize) -> Option<Taken> {
        loop {
            {
                let mut state = self.0.state();
                if let Some((jobs, accounts)) = state.take(group) {
                    if !state.turns.is_empty() {
                        self.0.work.notify_one();
                    }
                    return Some(Taken { jobs, accounts, queue: Arc::clone(&self.0) });
                }
                // Others may still hold accounts for which jobs wait: they come round when they are let go.
                if state.closed && state.jobs.is_empty() {
                    // The lane that found the queue empty tells the next.
                    self.0.work.notify_one();
                    return None;
                }
            }
            self.0.work.notified().await;
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.lanes -= 1;
        if state.lanes == 0 {
            // Whoever waits for an answer learns that there will be none.
            state.jobs.clear();
            state.turns.clear();
        }
    }
}

impl State {
    fn take(&mut self, group: usize) -> Option<(Vec<Job>, Vec<AccountId>)> {
        let (mut taken, mut accounts, mut size) = (Vec::new(), Vec::new(), 0);
        while size < group
            && let Some(account) = self.turns.pop_front()
        {
            let Some(jobs) = self.jobs.get_mut(&account) else { continue };
            while size < group
                && let Some(job) = jobs.pop_front()
            {
                size += job.items.len();
                taken.push(job);
            }
            if jobs.is_empty() {
                self.jobs.remove(&account);
            }
            self.busy.insert(account);
            accounts.push(account);
        }
        (!taken.is_empty()).then_some((taken, accounts))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        for account in &self.accounts {
            state.busy.remove(account);
            if state.jobs.contains_key(account) {
                state.turns.push_back(*account);
            }
        }
        let ended = state.closed && state.jobs.is_empty();
        if ended || !state.turns.is_empty() {
            self.queue.work.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sceau_verifier::Digest;
    use tokio::sync::{Semaphore, oneshot};
    use tokio::time::timeout;

    use super::*;
    use crate::ledger::intake::Submission;

    fn job(account: i64, items: usize) -> Job {
        let item = Submission { account: AccountId(account), digest: Digest::of(&account.to_be_bytes()), detail: None };
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("a place");
        Job { items: vec![item; items], salts: Vec::new(), answer: oneshot::channel().0, _place: place }
    }

    fn sizes(taken: &Taken) -> Vec<(i64, usize)> {
        taken.jobs.iter().map(|job| (job.items[0].account.0, job.items.len())).collect()
    }

    async fn nothing(lane: &Lane) -> bool {
        timeout(Duration::from_millis(20), lane.take(10)).await.is_err()
    }

    #[tokio::test]
    async fn an_account_is_one_lane_s_at_a_time_and_accounts_take_turns() {
        let (entrance, lanes) = queue(2);
        for (account, items) in [(1, 1), (1, 2), (2, 1), (1, 8), (1, 1), (3, 1)] {
            entrance.push(job(account, items)).expect("taken");
        }
        let first = lanes[0].take(10).await.expect("work");
        assert_eq!(sizes(&first), [(1, 1), (1, 2), (1, 8)], "all of one account, until the group is full");
        let second = lanes[1].take(10).await.expect("work");
        assert_eq!(sizes(&second), [(2, 1), (3, 1)], "what is left of the first account waits for its lane");
        assert!(nothing(&lanes[1]).await);
        entrance.push(job(2, 3)).expect("taken");
        assert!(nothing(&lanes[1]).await, "the second account is busy too");
        drop(first);
        assert_eq!(sizes(&lanes[0].take(10).await.expect("work")), [(1, 1)]);
        drop(second);
        assert_eq!(sizes(&lanes[1].take(10).await.expect("work")), [(2, 3)]);
    }

    #[tokio::test]
    async fn lanes_end_when_nothing_can_come_any_more_and_not_before() {
        let (entrance, lanes) = queue(3);
        entrance.push(job(1, 1)).expect("taken");
        let mut lanes = lanes.into_iter();
        let first = lanes.next().expect("a lane");
        let taken = first.take(10).await.expect("work");
        entrance.push(job(1, 1)).expect("taken");
        let others: Vec<_> = lanes.map(|lane| tokio::spawn(async move { while lane.take(10).await.is_some() {} })).collect();
        drop(entrance);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(others.iter().all(|other| !other.is_finished()), "a job waits for its account");
        drop(taken);
        while first.take(10).await.is_some() {}
        drop(first);
        for other in others {
            timeout(Duration::from_secs(20), other).await.expect("it ends").expect("no panic");
        }
    }

    #[tokio::test]
    async fn without_lanes_nothing_is_taken_and_nobody_waits() {
        let (entrance, lanes) = queue(1);
        let (answer, answered) = oneshot::channel();
        entrance.push(Job { answer, ..job(1, 1) }).expect("taken");
        assert!(entrance.is_alive());
        drop(lanes);
        assert!(answered.await.is_err(), "told that there is no answer");
        assert!(!entrance.is_alive());
        assert!(entrance.push(job(1, 1)).is_err());
    }
}
