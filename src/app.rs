//! Wiring: settings in, a running service out. Nothing is decided here.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::Address;
use anyhow::{Context, anyhow};
use futures_util::FutureExt;
use secrecy::ExposeSecret;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_cron_scheduler::{Job, JobScheduler};
use uuid::Uuid;

use crate::api::kagesecur;
use crate::api::limit::{Rate, Rates};
use crate::api::listen::{Crowd, Listener};
use crate::api::secret::Pepper;
use crate::api::token::Tokens;
use crate::api::{self, Deadline};
use crate::chain::endpoints::{Endpoints, NoView, Rules};
use crate::chain::evm::Evm;
use crate::chain::{Chain, ChainError, Target};
use crate::config::{self, Config};
use crate::ledger::Ledger;
use crate::ledger::intake::{Intake, Limits};
use crate::pipeline::anchoring::{Anchoring, Policy};
use crate::pipeline::runner::{self, Watched, Work};
use crate::pipeline::schedule::Schedule;
use crate::pipeline::seal::Sealer;
use crate::pipeline::{self, Step};
use crate::ports::{Entropy, Ports};
use crate::signing::Key;

/// Pause between two looks at the pool, and at the chain, while there is nothing to do.
const POLL: Duration = Duration::from_secs(1);

/// How often the token keys are read again.
const KEYS: Duration = Duration::from_secs(10);

/// Serves until `stop` completes, then finishes what is under way: requests within ten seconds, and the digests that
/// wait. The pipeline is simply ended: its steps go on where they were at the next start.
///
/// # Errors
/// When the service cannot start (one sentence says what to do), and when one of its tasks dies: a service that goes on
/// without its sealer would look well and do nothing.
pub async fn serve(config: Config, ports: Ports, stop: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
    let ledger = Ledger::connect(config.database_url.expose_secret(), config.database_connections).context("database_url")?;
    ledger.check_schema().await?;
    ledger.check_durability().await?;
    let schedule = Schedule::parse(&config.seal.schedule).context("seal.schedule")?;
    let tokens = Tokens::load(&config.auth.token_key, &config.http.public_url, config.auth.token_life)?;
    let pepper = Pepper::load(&config.auth.pepper)?;
    let trusted = config.trusted();
    let crowd = Crowd::new(config.limits.connections, config.limits.connections_per_address, Arc::clone(&trusted));
    let listener = Listener::bind(&config.http).await?.bounded(crowd.clone());
    let dialect = kagesecur(&config).await?.map(|(listener, options)| (listener.bounded(crowd), options));

    let holder = instance(&ports);
    let mut steps = JoinSet::new();
    let (due, sealed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let sealer = Sealer {
        ledger: ledger.clone(),
        origin: config.origin.clone(),
        schedule: schedule.clone(),
        threshold: config.seal.threshold,
        holder,
    };
    let seal = Seal { sealer, sealed: Arc::clone(&sealed) };
    let seal = Watched { work: seal, name: "seal".into(), ledger: ledger.clone(), halted: true };
    steps.spawn(runner::run("seal", POLL, Arc::clone(&due), seal));
    for target in &config.targets {
        let name = format!("anchor eip155:{} {}", target.chain_id, target.registry.to_lowercase());
        let anchor = Anchor { ledger: ledger.clone(), endpoint: Endpoint::of(target, &ports)?, holder, connected: None };
        let anchor = Watched { work: anchor, name, ledger: ledger.clone(), halted: true };
        steps.spawn(runner::run("anchor", POLL, Arc::clone(&sealed), anchor));
    }
    // Only wakes the sealer: what is due is decided from the database, so a missed tick is caught up by the next look.
    let mut clock = tick(&config.seal.schedule, due).await?;

    let (intake, mut lanes) = Intake::start(&ledger, &ports.entropy, Limits::default());
    let deadline = Deadline::new(move |moment| schedule.next_after(moment), Duration::from_secs(config.seal.allowance));
    let mut state = api::State::new(ledger.clone(), intake, ports, tokens, pepper, deadline, &config.http.public_url);
    state.trusted = trusted;
    let strangers = Rate { per_second: config.limits.token_requests_per_second, burst: config.limits.token_burst };
    state.rates = Arc::new(Rates::new(strangers));
    steps.spawn(Arc::clone(&state.tokens).follow(KEYS));
    tracing::info!(address = %listener.address(), url = config.http.public_url, instance = %holder, "serving");

    let stop = stop.shared();
    let dialect = match dialect {
        None => None,
        Some((listener, options)) => {
            tracing::info!(address = %listener.address(), url = options.public_url, "serving the KageSecur dialect");
            let router = kagesecur::router(kagesecur::Dialect::new(state.clone(), options));
            Some(listener.serve(router, stop.clone()))
        }
    };
    let serving = async {
        tokio::try_join!(listener.serve(api::router(state), stop), async {
            match dialect {
                None => Ok(()),
                Some(serving) => serving.await,
            }
        })
        .map(|((), ())| ())
    };
    supervise(serving, &mut steps, &mut lanes).await?;
    // The router is gone and with it every way in, so the lanes end when nothing waits any more.
    while let Some(ended) = lanes.join_next().await {
        ended.map_err(|error| anyhow!("the intake died while stopping: {error}"))?;
    }
    steps.shutdown().await;
    clock.shutdown().await.context("stopping the schedule")?;
    ledger.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// The listener of the KageSecur dialect, where the settings have one, and what it is told.
async fn kagesecur(config: &Config) -> anyhow::Result<Option<(Listener, kagesecur::Options)>> {
    let Some(settings) = &config.kagesecur else { return Ok(None) };
    let options = kagesecur::Options {
        key: kagesecur::jwt::Key::load(&settings.token_key).context("kagesecur.token_key")?,
        public_url: settings.public_url.clone(),
        nodes: [std::slice::from_ref(&config.origin), &settings.nodes].concat(),
        auth_life: Duration::from_secs(settings.auth_life),
        login_failures: settings.login_failures,
    };
    let http = config::Http {
        listen: settings.listen,
        public_url: settings.public_url.clone(),
        tls: settings.tls.clone().or_else(|| config.http.tls.clone()),
        plain: config.http.plain,
    };
    Ok(Some((Listener::bind(&http).await.context("kagesecur")?, options)))
}

/// Serves until that ends by itself, or fails as soon as one of the tasks beside it has ended, however.
async fn supervise(
    serving: impl Future<Output = anyhow::Result<()>>,
    steps: &mut JoinSet<()>,
    lanes: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    tokio::select! {
        served = serving => served,
        ended = steps.join_next() => Err(died("the pipeline", ended)),
        ended = lanes.join_next() => Err(died("the intake", ended)),
    }
}

/// A name for this process in leases.
fn instance(ports: &Ports) -> Uuid {
    let mut bytes = [0; 16];
    ports.entropy.fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

fn died(what: &str, ended: Option<Result<(), tokio::task::JoinError>>) -> anyhow::Error {
    match ended {
        Some(Err(error)) => anyhow!("{what} died: {error}; ending, because accepting digests without it would be a lie"),
        _ => anyhow!("{what} ended by itself; ending, because accepting digests without it would be a lie"),
    }
}

async fn tick(schedule: &str, due: Arc<Notify>) -> anyhow::Result<JobScheduler> {
    let scheduler = JobScheduler::new().await.context("starting the schedule")?;
    let job = Job::new(schedule, move |_, _| due.notify_one()).context("seal.schedule")?;
    scheduler.add(job).await.context("starting the schedule")?;
    scheduler.start().await.context("starting the schedule")?;
    Ok(scheduler)
}

/// Seals, and wakes whoever anchors.
struct Seal {
    sealer: Sealer,
    sealed: Arc<Notify>,
}

impl Work for Seal {
    async fn step(&mut self) -> pipeline::Result<Step> {
        let done = self.sealer.step().await?;
        if done == Step::Worked {
            self.sealed.notify_waiters();
        }
        Ok(done)
    }
}

/// A configured target, checked as far as it can be without asking anybody.
#[derive(Debug)]
struct Endpoint {
    way: Way,
    key: Key,
    policy: Policy,
}

/// How a target's chain is reached.
#[derive(Debug, Clone)]
pub enum Way {
    /// Through one endpoint, which is believed.
    One(Arc<Evm>),
    /// Through several, which are compared.
    Several(Arc<Endpoints>),
}

impl Way {
    /// As the settings say. Asks nobody yet.
    ///
    /// # Errors
    /// Names the setting that is wrong.
    pub fn of(target: &config::Target, entropy: &Arc<dyn Entropy>) -> anyhow::Result<Self> {
        let registry: Address = target.registry.parse().with_context(|| format!("targets.registry {:?}", target.registry))?;
        let goal = Target { chain_id: target.chain_id, registry };
        let connect = |url: &String| Evm::connect_within(url, goal.clone(), target.timeout()).map(Arc::new);
        Ok(match target.endpoints()? {
            [url] => Self::One(connect(url)?),
            urls => {
                let rules =
                    Rules { quorum: target.quorum, max_lag: target.max_lag, timeout: target.timeout(), ..Rules::default() };
                let chains = urls.iter().map(|url| Ok(connect(url)? as Arc<dyn Chain>)).collect::<Result<_, ChainError>>()?;
                Self::Several(Arc::new(Endpoints::new(chains, rules, Arc::clone(entropy))))
            }
        })
    }

    /// The chain, for one look: through the endpoint that is best now.
    ///
    /// # Errors
    /// When none can be used.
    pub async fn chain(&self) -> Result<Arc<dyn Chain>, NoView> {
        Ok(match self {
            Self::One(chain) => Arc::<Evm>::clone(chain),
            Self::Several(endpoints) => Arc::new(endpoints.view(None, &[]).await?),
        })
    }
}

impl Endpoint {
    fn of(target: &config::Target, ports: &Ports) -> anyhow::Result<Self> {
        let policy = Policy {
            depth: target.depth,
            ceiling: u128::from(target.max_fee_gwei) * 1_000_000_000,
            bump_after: Duration::from_secs(target.bump_after),
            warn_runway: target.warn_runway,
            ..Policy::default()
        };
        Ok(Self { way: Way::of(target, &ports.entropy)?, key: Key::find(&target.signer)?, policy })
    }
}

/// Connects, however long that takes, then anchors. A chain that is down at start delays nothing else.
struct Anchor {
    ledger: Ledger,
    endpoint: Endpoint,
    holder: Uuid,
    connected: Option<Anchoring>,
}

impl Work for Anchor {
    async fn step(&mut self) -> pipeline::Result<Step> {
        if let Some(anchoring) = &self.connected {
            return anchoring.step().await;
        }
        let Endpoint { way, key, policy } = &self.endpoint;
        let (ledger, signer) = (self.ledger.clone(), key.open().await?);
        let anchoring = match way.clone() {
            Way::One(chain) => Anchoring::connect(ledger, chain, signer, *policy, self.holder).await?,
            Way::Several(endpoints) => Anchoring::connect_several(ledger, endpoints, signer, *policy, self.holder).await?,
        };
        tracing::info!(chain = ?self.endpoint.way, "connected");
        self.connected = Some(anchoring);
        Ok(Step::Worked)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    fn task(work: impl Future<Output = ()> + Send + 'static) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(work);
        tasks
    }

    #[tokio::test]
    async fn the_service_ends_with_its_tasks() {
        let panic = || task(async { panic!("planned") });
        let died = supervise(pending(), &mut panic(), &mut task(pending())).await.expect_err("the pipeline died");
        assert!(died.to_string().starts_with("the pipeline died"), "{died}");
        let died = supervise(pending(), &mut task(pending()), &mut panic()).await.expect_err("the intake died");
        assert!(died.to_string().starts_with("the intake died"), "{died}");
        let ended = supervise(pending(), &mut task(ready(())), &mut task(pending())).await.expect_err("the pipeline ended");
        assert!(ended.to_string().starts_with("the pipeline ended by itself"), "{ended}");
        supervise(ready(Ok(())), &mut task(pending()), &mut task(pending())).await.expect("an orderly stop");
    }
}
