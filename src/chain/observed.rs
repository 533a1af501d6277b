//! A chain that is watched: every call is counted and timed, and what the answers say is shown.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use alloy::primitives::{Address, B256};
use async_trait::async_trait;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use sceau_verifier::Evidence;
use tokio::time::Instant;

use super::fees::FeeQuote;
use super::{Block, Chain, ChainError, Heads, Inclusion, Record, Sent, Target};

type Labels<const N: usize> = [(&'static str, String); N];
type Amount = Gauge<f64, AtomicU64>;

/// What was seen of all chains of this process. Cloning gives another hold on the same.
#[derive(Debug, Clone)]
pub struct Seen {
    calls: Family<Labels<4>, Counter>,
    seconds: Family<Labels<2>, Histogram, fn() -> Histogram>,
    sent: Family<Labels<3>, Counter>,
    head: Family<Labels<2>, Gauge>,
    head_time: Family<Labels<2>, Gauge>,
    finalized: Family<Labels<2>, Gauge>,
    base_fee: Family<Labels<1>, Amount>,
    ceiling: Family<Labels<1>, Amount>,
    nonce: Family<Labels<2>, Gauge>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.002, 2.5, 11))),
            sent: Family::default(),
            head: Family::default(),
            head_time: Family::default(),
            finalized: Family::default(),
            base_fee: Family::default(),
            ceiling: Family::default(),
            nonce: Family::default(),
        }
    }
}

impl Seen {
    /// Shows that no more than `wei` per gas is offered on a target.
    pub fn ceiling(&self, chain_id: &u64, registry: &str, wei: u128) {
        let name = format!("eip155:{chain_id}:{}", registry.to_lowercase());
        self.ceiling.get_or_create(&[("target", name)]).set(wei as f64);
    }

    /// Names all of it in `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("chain_calls", "Calls of a target's chain, by what came of them", self.calls.clone());
        registry.register_with_unit("chain_call", "Time of one call", Unit::Seconds, self.seconds.clone());
        registry.register("chain_sent", "Transactions handed over, by what the node said", self.sent.clone());
        registry.register("chain_head", "Height of the newest block seen", self.head.clone());
        let help = "Time of the newest block seen, since 1970";
        registry.register_with_unit("chain_head_time", help, Unit::Seconds, self.head_time.clone());
        registry.register("chain_finalized", "Height of the block of the tag finalized", self.finalized.clone());
        registry.register("chain_base_fee_wei", "Base fee last seen, wei per gas", self.base_fee.clone());
        registry.register("chain_fee_ceiling_wei", "Most that is offered, wei per gas", self.ceiling.clone());
        registry.register("signer_mined_nonce", "Transactions of the signer mined when last asked", self.nonce.clone());
    }
}

/// See the module.
#[derive(Debug)]
pub struct Observed {
    chain: Arc<dyn Chain>,
    seen: Seen,
    name: String,
    endpoint: String,
}

impl Observed {
    /// Watches `chain`, which is the target's endpoint number `endpoint`, from 1.
    #[must_use]
    pub fn new(chain: Arc<dyn Chain>, seen: Seen, endpoint: usize) -> Self {
        let target = chain.target();
        let name = format!("{}:0x{}", target.caip2(), hex::encode(target.registry));
        Self { chain, seen, name, endpoint: endpoint.to_string() }
    }

    fn target_label(&self) -> Labels<1> {
        [("target", self.name.clone())]
    }

    fn label(&self) -> Labels<2> {
        [("target", self.name.clone()), ("endpoint", self.endpoint.clone())]
    }

    fn signer(&self, address: Address) -> Labels<2> {
        [("chain", self.chain.target().caip2()), ("signer", format!("0x{}", hex::encode(address)))]
    }

    async fn count<T>(
        &self,
        method: &'static str,
        call: impl Future<Output = Result<T, ChainError>> + Send,
    ) -> Result<T, ChainError> {
        let begun = Instant::now();
        let answer = call.await;
        let outcome = match &answer {
            Ok(_) => "ok",
            Err(ChainError::Unreachable(_)) => "unreachable",
            Err(ChainError::Garbage(_)) => "garbage",
            Err(ChainError::Refused { .. }) => "refused",
            Err(ChainError::WrongChain { .. }) => "wrong_chain",
            Err(ChainError::NoRegistry { .. }) => "no_registry",
        };
        let [target, endpoint] = self.label();
        let labels = [target, endpoint, ("call", method.to_owned()), ("outcome", outcome.to_owned())];
        self.seen.calls.get_or_create(&labels).inc();
        self.seen.seconds.get_or_create(&self.label()).observe(begun.elapsed().as_secs_f64());
        answer
    }
}

fn shown(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[async_trait]
impl Chain for Observed {
    fn target(&self) -> &Target {
        self.chain.target()
    }

    async fn chain_id(&self) -> Result<u64, ChainError> {
        self.count("chain_id", self.chain.chain_id()).await
    }

    async fn heads(&self) -> Result<Heads, ChainError> {
        let heads = self.count("heads", self.chain.heads()).await?;
        let label = self.label();
        self.seen.head.get_or_create(&label).set(shown(heads.latest.number));
        self.seen.head_time.get_or_create(&label).set(shown(heads.latest.time));
        self.seen.base_fee.get_or_create(&self.target_label()).set(heads.base_fee as f64);
        if let Some(finalized) = heads.finalized {
            self.seen.finalized.get_or_create(&label).set(shown(finalized.number));
        }
        Ok(heads)
    }

    async fn block(&self, number: u64) -> Result<Option<Block>, ChainError> {
        self.count("block", self.chain.block(number)).await
    }

    async fn nonce(&self, address: Address) -> Result<u64, ChainError> {
        let nonce = self.count("nonce", self.chain.nonce(address)).await?;
        self.seen.nonce.get_or_create(&self.signer(address)).set(shown(nonce));
        Ok(nonce)
    }

    async fn balance(&self, address: Address) -> Result<u128, ChainError> {
        self.count("balance", self.chain.balance(address)).await
    }

    async fn code_hash(&self) -> Result<Option<B256>, ChainError> {
        self.count("code_hash", self.chain.code_hash()).await
    }

    async fn first_number(&self) -> Result<u64, ChainError> {
        self.count("first_number", self.chain.first_number()).await
    }

    async fn last_number(&self) -> Result<u64, ChainError> {
        self.count("last_number", self.chain.last_number()).await
    }

    async fn publisher(&self) -> Result<Option<Address>, ChainError> {
        self.count("publisher", self.chain.publisher()).await
    }

    async fn paid(&self, tx_hash: B256) -> Result<Option<u128>, ChainError> {
        self.count("paid", self.chain.paid(tx_hash)).await
    }

    async fn record(&self, root: B256) -> Result<Option<Record>, ChainError> {
        self.count("record", self.chain.record(root)).await
    }

    async fn inclusion(&self, tx_hash: B256) -> Result<Option<Inclusion>, ChainError> {
        self.count("inclusion", self.chain.inclusion(tx_hash)).await
    }

    async fn anchoring(&self, root: B256, record: &Record) -> Result<Option<Inclusion>, ChainError> {
        self.count("anchoring", self.chain.anchoring(root, record)).await
    }

    async fn fees(&self) -> Result<FeeQuote, ChainError> {
        let quote = self.count("fees", self.chain.fees()).await?;
        self.seen.base_fee.get_or_create(&self.target_label()).set(quote.base_fee as f64);
        Ok(quote)
    }

    async fn send(&self, raw: &[u8]) -> Result<Sent, ChainError> {
        let answer = self.count("send", self.chain.send(raw)).await;
        let said = match &answer {
            Ok(Sent::Accepted) => "accepted",
            Ok(Sent::AlreadyKnown) => "already_known",
            Ok(Sent::NonceTooLow) => "nonce_too_low",
            Ok(Sent::Underpriced) => "underpriced",
            Ok(Sent::InsufficientFunds) => "insufficient_funds",
            Ok(Sent::Rejected(_)) => "rejected",
            Err(_) => "unknown",
        };
        let [target, endpoint] = self.label();
        self.seen.sent.get_or_create(&[target, endpoint, ("answer", said.to_owned())]).inc();
        answer
    }

    async fn evidence(&self, root: B256, inclusion: &Inclusion) -> Result<Evidence, ChainError> {
        self.count("evidence", self.chain.evidence(root, inclusion)).await
    }

    fn final_height(&self, heads: &Heads, depth: Option<u64>) -> Option<u64> {
        self.chain.final_height(heads, depth)
    }

    async fn vouched(&self, block: &Block, depth: Option<u64>) -> Result<bool, ChainError> {
        self.count("vouched", self.chain.vouched(block, depth)).await
    }
}
