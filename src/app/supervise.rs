//! A service whose tasks have died does not go on.

use anyhow::anyhow;
use tokio::task::JoinSet;

/// Serves until that ends by itself, or fails as soon as one of the tasks beside it has ended, however. `signal` is
/// driven meanwhile and never ends.
pub(super) async fn supervise(
    serving: impl Future<Output = anyhow::Result<()>>,
    signal: impl Future<Output = ()>,
    steps: &mut JoinSet<()>,
    lanes: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    tokio::select! {
        served = serving => served,
        () = signal => Ok(()),
        ended = steps.join_next(), if !steps.is_empty() => Err(died("the pipeline", ended)),
        ended = lanes.join_next(), if !lanes.is_empty() => Err(died("the intake", ended)),
    }
}

fn died(what: &str, ended: Option<Result<(), tokio::task::JoinError>>) -> anyhow::Error {
    match ended {
        Some(Err(error)) => anyhow!("{what} died: {error}; ending, because accepting digests without it would be a lie"),
        _ => anyhow!("{what} ended by itself; ending, because accepting digests without it would be a lie"),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use super::*;

    fn task(work: impl Future<Output = ()> + Send + 'static) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(work);
        tasks
    }

    #[tokio::test]
    async fn the_service_ends_with_its_tasks() {
        let panic = || task(async { panic!("planned") });
        let died = supervise(pending(), pending(), &mut panic(), &mut task(pending())).await.expect_err("the pipeline died");
        assert!(died.to_string().starts_with("the pipeline died"), "{died}");
        let died = supervise(pending(), pending(), &mut task(pending()), &mut panic()).await.expect_err("the intake died");
        assert!(died.to_string().starts_with("the intake died"), "{died}");
        let ended =
            supervise(pending(), pending(), &mut task(ready(())), &mut task(pending())).await.expect_err("the pipeline ended");
        assert!(ended.to_string().starts_with("the pipeline ended by itself"), "{ended}");
        // A process without one of the two is not ended for lack of it.
        for (mut steps, mut lanes) in [(JoinSet::new(), task(pending())), (task(pending()), JoinSet::new())] {
            let still = supervise(pending(), pending(), &mut steps, &mut lanes);
            assert!(tokio::time::timeout(Duration::from_millis(50), still).await.is_err());
        }
        supervise(ready(Ok(())), pending(), &mut task(pending()), &mut task(pending())).await.expect("an orderly stop");
    }
}
