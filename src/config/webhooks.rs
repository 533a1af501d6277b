//! Where webhooks may lead.

use serde::Deserialize;

use crate::api::access::peer::network as network_of;
use crate::webhooks::address::Allowed;

/// Where webhooks may lead, and how long they are tried.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhooks {
    /// Plain HTTP is allowed. For development.
    pub allow_plain: bool,
    /// Networks that are allowed although they are not public.
    pub allow_networks: Vec<String>,
    /// One whose messages have failed for so long is parked, seconds.
    pub give_up: u64,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self { allow_plain: false, allow_networks: Vec::new(), give_up: 259_200 }
    }
}

impl Webhooks {
    /// What is allowed beside public addresses over TLS.
    ///
    /// # Errors
    /// Names the network that is none.
    pub fn allowed(&self) -> anyhow::Result<Allowed> {
        let network = |text: &String| network_of(text).map_err(|why| anyhow::anyhow!("webhooks.allow_networks: {why}"));
        let networks = self.allow_networks.iter().map(network).collect::<anyhow::Result<_>>()?;
        Ok(Allowed { plain: self.allow_plain, networks })
    }
}
