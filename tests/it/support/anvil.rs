use sceau::dev::anvil::{self, Mining, Options};

/// A node of one test.
pub use sceau::dev::anvil::Anvil;

/// A fresh chain that makes a block for each transaction at once.
pub async fn anvil() -> Anvil {
    anvil_with(Mining::Instant).await
}

/// A fresh chain that makes blocks as `mining` says.
pub async fn anvil_with(mining: Mining) -> Anvil {
    let folder = tempfile::Builder::new().prefix("sceau-it-anvil-").tempdir().expect("a temporary folder");
    let data = folder.keep();
    anvil::start(Options { data: &data, port: None, mining, binary: None, throw_away: true }, &super::progress)
        .await
        .expect("a node")
}
