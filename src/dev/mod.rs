//! The local stack: a real Postgres, a real EVM node, pinned tools and a certificate, all ended with their owner.

pub mod anvil;
pub mod cert;
pub mod child;
pub mod host;
pub mod postgres;
pub mod tools;
/// placeholder
#[derive(Debug, clap::Args)]
pub struct Options {}
/// placeholder
pub async fn run(_options: Options, _ports: crate::ports::Ports, _shutdown: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
    anyhow::bail!("placeholder")
}
