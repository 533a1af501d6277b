//! A step where a chain has several endpoints: through one of them, and anew through the next when it fails.
//!
//! A step that begins anew finds what the failed one has committed, as a restarted process would. So nothing is put
//! together from answers of two endpoints, and an endpoint that hangs, lies or contradicts itself costs one try.

use std::sync::Arc;

use alloy::primitives::B256;
use uuid::Uuid;

use super::anchoring::{Anchoring, Policy};
use super::{Result, Step, StepError};
use crate::chain::ChainError;
use crate::chain::endpoints::{Endpoints, Known, View};
use crate::chain::signer::Signer;
use crate::ledger::Ledger;
use crate::ledger::leases::Lease;

impl Anchoring {
    /// [`Anchoring::connect`] where there are several endpoints: through the first that can be used.
    ///
    /// # Errors
    /// [`StepError::Halt`] when those that answer serve another chain or contract.
    pub async fn connect_several(
        ledger: Ledger,
        endpoints: Arc<Endpoints>,
        signer: Arc<dyn Signer>,
        policy: Policy,
        holder: Uuid,
    ) -> Result<Self> {
        let connect = |view: Arc<View>| Self::connect(ledger.clone(), view, Arc::clone(&signer), policy, holder);
        let connected = through(&endpoints, None, connect).await;
        note_asides(&ledger, &Self::name(endpoints.target()), &endpoints).await;
        Ok(Self { endpoints: Some(endpoints), ..connected? })
    }

    /// The step, through one endpoint after the other until one brings it to its end.
    pub(super) async fn look_through(&self, endpoints: &Arc<Endpoints>, lease: &Lease, watch: bool, money: bool) -> Result<Step> {
        let known = self.ledger.finality(self.target).await?.map(|block| (block.number, B256::from(block.hash)));
        let look = async |view: Arc<View>| {
            let one = Self { chain: view, ..self.clone() };
            one.look(lease, watch, money).await
        };
        let done = through(endpoints, known, look).await;
        note_asides(&self.ledger, &self.lease, endpoints).await;
        done
    }
}

/// Does `work` through the best endpoint, and through the others while it ends with an error that is the chain's. A halt
/// that another endpoint does not confirm is held against the one that brought it about.
pub(super) async fn through<T, F: Future<Output = Result<T>>>(
    endpoints: &Arc<Endpoints>,
    known: Option<Known>,
    work: impl Fn(Arc<View>) -> F,
) -> Result<T> {
    let mut tried = Vec::new();
    let mut first: Option<StepError> = None;
    let mut halted: Vec<(usize, String)> = Vec::new();
    loop {
        let view = match endpoints.view(known, &tried).await {
            Ok(view) => Arc::new(view),
            Err(nobody) => return Err(first.unwrap_or_else(|| nobody.into())),
        };
        let index = view.index();
        match work(view).await {
            Ok(done) => {
                for (index, why) in halted {
                    endpoints.doubt(index, &why);
                }
                return Ok(done);
            }
            Err(error @ StepError::Chain(_)) => {
                // A refusal is an answer: somebody else may have what this one does not keep, but it is not away.
                if let StepError::Chain(error) = &error
                    && !matches!(error, ChainError::Refused { .. })
                {
                    endpoints.blame(index, error);
                }
                tracing::debug!(endpoint = index + 1, %error, "a look through this endpoint failed");
                first.get_or_insert(error);
            }
            Err(error @ (StepError::Halt(_) | StepError::Funds(_))) => {
                halted.push((index, error.to_string()));
                // It says more than an endpoint that does not answer.
                if halted.len() == 1 {
                    first = Some(error);
                }
            }
            Err(error) => return Err(error),
        }
        tried.push(index);
    }
}

/// Tells operators. That it cannot be told is no reason not to go on.
async fn note_asides(ledger: &Ledger, step: &str, endpoints: &Endpoints) {
    let asides: Vec<(u32, &str, String)> = endpoints
        .asides()
        .into_iter()
        .map(|aside| (u32::try_from(aside.endpoint).unwrap_or(u32::MAX), aside.reason.kind(), aside.reason.to_string()))
        .collect();
    if let Err(error) = ledger.note_asides(step, &asides).await {
        tracing::warn!(step, %error, "telling which endpoints are set aside");
    }
}
