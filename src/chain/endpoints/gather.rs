//! Asks several at once without waiting long for the slow.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::chain::ChainError;

/// What each of `who` answers. Once `enough` have answered, the others get a quarter of `timeout` more; what they would
/// have said then counts as no answer.
pub(super) async fn gather<T, F: Future<Output = Result<T, ChainError>>>(
    who: &[usize],
    ask: impl Fn(usize) -> F,
    enough: usize,
    timeout: Duration,
) -> Vec<(usize, Result<T, ChainError>)> {
    let mut asked: FuturesUnordered<_> = who
        .iter()
        .map(|index| {
            let answer = ask(*index);
            async move { (*index, answer.await) }
        })
        .collect();
    let mut answers = Vec::with_capacity(who.len());
    let mut good = 0;
    let mut until = Instant::now() + timeout;
    while let Ok(Some((index, answer))) = tokio::time::timeout_at(until, asked.next()).await {
        good += usize::from(answer.is_ok());
        answers.push((index, answer));
        if good == enough {
            until = until.min(Instant::now() + timeout / 4);
        }
    }
    for index in who {
        if answers.iter().all(|(one, _)| one != index) {
            answers.push((*index, Err(ChainError::Unreachable("no answer while others had long answered".into()))));
        }
    }
    answers.sort_by_key(|(index, _)| *index);
    answers
}
