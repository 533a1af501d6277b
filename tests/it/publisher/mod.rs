//! The publisher's key and its money: planned changes, a stolen key, an empty account. Real commands, a real node.

mod change;
mod funds;
mod stolen;

use std::time::Duration;

use sceau::audit::{self, Report, Witness};
use sceau::chain::Chain;
use sceau::ledger::anchors::AnchorState;
use sceau::pipeline::anchoring::Policy;
use sceau::pipeline::{Result, StepError};

use crate::cli::command::{Place, Run};
use crate::pipeline::kit::{KEY, Kit, OTHER_KEY, OWNER_KEY};

/// A folder with settings in which the kit's registry is the target and `NEXT` the variable with its key.
fn place(kit: &Kit) -> Place {
    let place = Place::new().with("OWNER", OWNER_KEY).with("NEXT", OTHER_KEY).with("FIRST", KEY);
    place.file("sceau.toml", settings(kit));
    place
}

fn settings(kit: &Kit) -> String {
    format!(
        "database_url = '{}'\n[[targets]]\nrpc_url = '{}'\nchain_id = 31337\nregistry = '{}'\nsigner = {{ env = 'NEXT' }}\n",
        kit.database.url,
        kit.anvil.url,
        kit.chain.target().registry
    )
}

/// Runs a command while the chain grows.
async fn run(kit: &Kit, place: &Place, arguments: &[&str]) -> Run {
    let mut command = place.command(arguments);
    let command = tokio::task::spawn_blocking(move || command.output().expect("run"));
    let growing = async {
        loop {
            kit.anvil.mine(1).await.expect("a block");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        output = command => output.expect("a run").into(),
        () = growing => unreachable!(),
    }
}

/// What restarted instances are like: they look at everything anew at once.
fn eager() -> Policy {
    Policy {
        bump_after: Duration::from_secs(3600),
        resend_after: Duration::ZERO,
        watch_every: Duration::ZERO,
        ..Policy::default()
    }
}

/// Steps and makes blocks until the batch is final; halts on the way are what is to end.
async fn until_final(kit: &Kit, batch: u64) {
    for _ in 0..200 {
        match kit.settle().await {
            Ok(()) | Err(StepError::Halt(_) | StepError::Funds(_)) => {}
            Err(error) => panic!("{error}"),
        }
        if kit.state(batch).await == AnchorState::Final {
            return;
        }
        kit.anvil.mine(1).await.expect("a block");
    }
    panic!("batch {batch} stays {:?}: {:?}", kit.state(batch).await, kit.settle().await);
}

fn halted(result: Result<()>, because: &str) {
    match result {
        Err(StepError::Halt(why) | StepError::Funds(why)) if why.contains(because) => {}
        other => panic!("{other:?} where a halt because of {because:?} belongs"),
    }
}

async fn audited(kit: &Kit) -> Report {
    let chain: std::sync::Arc<dyn Chain> = std::sync::Arc::<crate::pipeline::kit::Flaky>::clone(&kit.chain);
    audit::run(&kit.ledger, &[Witness { chain, depth: None, evidence: true }], |_| ()).await.expect("a report")
}

async fn clean(kit: &Kit) {
    let report = audited(kit).await;
    assert!(report.is_clean(), "{:?}", report.findings);
}
