//! Guards that are broken on purpose: the histories must see each.

use std::sync::Arc;

use alloy::consensus::TxEip1559;
use alloy::primitives::Address;
use async_trait::async_trait;
use sceau::chain::Chain;
use sceau::chain::signer::{LocalWallet, SignError, SignedAnchor, Signer};

use crate::model::Model;

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    None,
    /// Signed bytes reach the node before they are stored.
    SendBeforeStore,
    /// A block counts as canonical because its height is there.
    HeightOnly,
    /// Only the newest attempt of an anchor is kept.
    NewestOnly,
    /// One endpoint of three is enough to call a block final.
    NoQuorum,
}

/// Sends what it signs at once, and often dies of it.
#[derive(Debug)]
pub struct Eager(pub Arc<LocalWallet>, pub Arc<Model>, pub bool);

#[async_trait]
impl Signer for Eager {
    fn address(&self) -> Address {
        self.0.account()
    }
    async fn sign_eip1559(&self, asked: &TxEip1559) -> Result<SignedAnchor, SignError> {
        let signed = self.0.sign_eip1559(asked).await?;
        let _ = self.1.send(&signed.raw).await;
        if self.2 {
            self.1.died.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(signed)
    }
}
