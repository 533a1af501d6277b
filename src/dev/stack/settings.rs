//! The settings of the local stack's service.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::dev::cert;
use crate::dev::folder::DevJson;

/// Local batches are sealed every ten seconds.
const SCHEDULE: &str = "*/10 * * * * *";

/// As the file that the service reads.
pub(super) fn toml(
    told: &DevJson,
    [address, dialect, core, metrics]: [SocketAddr; 4],
    certificate: &cert::Certificate,
    [token, pepper, dialect_key, key]: [&PathBuf; 4],
) -> String {
    // Paths and URLs of ours hold neither quotes nor control characters; Debug prints them as TOML's basic strings.
    format!(
        r#"# Written by `sceau dev` at every start.
database_url = {:?}
origin = "sceau.localhost"

[http]
listen = "{address}"
public_url = {:?}
tls = {{ cert = {:?}, key = {:?} }}

[auth]
token_key = {token:?}
pepper = {pepper:?}

[kagesecur]
listen = "{dialect}"
public_url = {:?}
token_key = {dialect_key:?}

[core]
listen = "{core}"

[seal]
schedule = "{SCHEDULE}"
allowance = 60

[metrics]
listen = "{metrics}"

[webhooks]
allow_plain = true
allow_networks = ["127.0.0.0/8", "::1"]

[[targets]]
rpc_url = {:?}
chain_id = {}
registry = {:?}
signer = {{ key_file = {key:?} }}
"#,
        told.database_url,
        told.api_url,
        certificate.cert,
        certificate.key,
        told.kagesecur_url,
        told.rpc_url,
        told.chain_id,
        told.registry
    )
}
