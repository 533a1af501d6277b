//! One look at the chain, through one endpoint.

use std::sync::Arc;

use alloy::primitives::{Address, B256};
use async_trait::async_trait;
use sceau_verifier::Evidence;
use tokio::task::JoinSet;

use super::Endpoints;
use super::gather::gather;
use crate::chain::fees::FeeQuote;
use crate::chain::{Block, Chain, ChainError, Heads, Inclusion, Record, Sent, Target};

/// The chain as one endpoint has it, that agreed with others when the view was taken. Every question goes to that
/// endpoint; transactions go to all that agreed; what is final, `quorum` of them must say.
#[derive(Debug)]
pub struct View {
    endpoints: Arc<Endpoints>,
    pinned: usize,
    /// Who agreed, the pinned one among them, and where their chains ended.
    members: Vec<(usize, Heads)>,
}

impl View {
    pub(super) fn new(endpoints: Arc<Endpoints>, pinned: usize, members: Vec<(usize, Heads)>) -> Self {
        Self { endpoints, pinned, members }
    }

    /// Place of the endpoint among all, from 0.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.pinned
    }

    fn one(&self) -> &dyn Chain {
        self.endpoints.chains[self.pinned].as_ref()
    }
}

#[async_trait]
impl Chain for View {
    fn target(&self) -> &Target {
        &self.endpoints.target
    }
    async fn chain_id(&self) -> Result<u64, ChainError> {
        self.one().chain_id().await
    }
    async fn heads(&self) -> Result<Heads, ChainError> {
        self.one().heads().await
    }
    async fn block(&self, number: u64) -> Result<Option<Block>, ChainError> {
        self.one().block(number).await
    }
    async fn nonce(&self, address: Address) -> Result<u64, ChainError> {
        self.one().nonce(address).await
    }
    async fn balance(&self, address: Address) -> Result<u128, ChainError> {
        self.one().balance(address).await
    }
    async fn code_hash(&self) -> Result<Option<B256>, ChainError> {
        self.one().code_hash().await
    }
    async fn first_number(&self) -> Result<u64, ChainError> {
        self.one().first_number().await
    }
    async fn last_number(&self) -> Result<u64, ChainError> {
        self.one().last_number().await
    }
    async fn publisher(&self) -> Result<Option<Address>, ChainError> {
        self.one().publisher().await
    }
    async fn paid(&self, tx_hash: B256) -> Result<Option<u128>, ChainError> {
        self.one().paid(tx_hash).await
    }
    async fn record(&self, root: B256) -> Result<Option<Record>, ChainError> {
        self.one().record(root).await
    }
    async fn inclusion(&self, tx_hash: B256) -> Result<Option<Inclusion>, ChainError> {
        self.one().inclusion(tx_hash).await
    }
    async fn anchoring(&self, root: B256, record: &Record) -> Result<Option<Inclusion>, ChainError> {
        self.one().anchoring(root, record).await
    }
    async fn fees(&self) -> Result<FeeQuote, ChainError> {
        self.one().fees().await
    }
    async fn evidence(&self, root: B256, inclusion: &Inclusion) -> Result<Evidence, ChainError> {
        self.one().evidence(root, inclusion).await
    }

    /// To everybody who agreed, at once. The first who takes it decides; else the answer of the pinned endpoint counts,
    /// else any.
    async fn send(&self, raw: &[u8]) -> Result<Sent, ChainError> {
        let mut sends = JoinSet::new();
        for (index, _) in &self.members {
            let (index, chain, raw) = (*index, Arc::clone(&self.endpoints.chains[*index]), raw.to_vec());
            sends.spawn(async move { (index, chain.send(&raw).await) });
        }
        let mut best: Option<(usize, Result<Sent, ChainError>)> = None;
        while let Some(Ok((index, answer))) = sends.join_next().await {
            if matches!(answer, Ok(Sent::Accepted | Sent::AlreadyKnown)) {
                // The others are told too, but nobody waits for it.
                sends.detach_all();
                return answer;
            }
            let rank = |index: usize, answer: &Result<Sent, ChainError>| (answer.is_ok(), index == self.pinned);
            if best.as_ref().is_none_or(|(other, known)| rank(*other, known) < rank(index, &answer)) {
                best = Some((index, answer));
            }
        }
        best.map_or_else(|| Err(ChainError::Unreachable("sending was cut short".into())), |(_, answer)| answer)
    }

    /// The height up to which `quorum` of the endpoints that agreed call their chain final.
    fn final_height(&self, heads: &Heads, depth: Option<u64>) -> Option<u64> {
        let own = |index: usize, seen: &Heads| if index == self.pinned { heads } else { seen }.final_height(depth);
        let mut heights: Vec<u64> = self.members.iter().filter_map(|(index, seen)| own(*index, seen)).collect();
        heights.sort_unstable_by(|a, b| b.cmp(a));
        heights.get(self.endpoints.rules.quorum - 1).copied()
    }

    /// Whether `quorum` of them have this block and call it final, and more of them have it than have another or none
    /// there: one that runs ahead of all others does not decide alone.
    async fn vouched(&self, block: &Block, depth: Option<u64>) -> Result<bool, ChainError> {
        let who: Vec<usize> = self.members.iter().map(|(index, _)| *index).collect();
        let rules = &self.endpoints.rules;
        let there = |index: usize| self.endpoints.chains[index].block(block.number);
        let (mut have, mut sure, mut others) = (0, 0, Vec::new());
        for (index, answer) in gather(&who, there, self.endpoints.enough(), rules.timeout).await {
            let seen = self.members.iter().find(|(one, _)| *one == index).map(|(_, heads)| heads);
            let covers = seen.and_then(|heads| heads.final_height(depth)).is_some_and(|height| height >= block.number);
            match answer {
                Ok(Some(found)) if found.hash == block.hash => {
                    have += 1;
                    // Whether the pinned one calls this final was asked by whoever asks now.
                    sure += usize::from(covers || index == self.pinned);
                }
                Ok(_) => others.push(index + 1),
                // Who fails says nothing.
                Err(_) => {}
            }
        }
        let vouched = sure >= rules.quorum && have > others.len();
        if !others.is_empty() {
            tracing::warn!(block = block.number, hash = %block.hash, vouched, have, ?others, "some endpoints do not have what is to be final");
        }
        Ok(vouched)
    }
}
