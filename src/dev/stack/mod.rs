//! The servers of the local stack and what the service needs to know of them.

mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use secrecy::ExposeSecret;

use crate::api::access::secret::{self, Domain, Pepper};
use crate::chain::deploy::{self, Plan};
use crate::chain::evm::Evm;
use crate::chain::signer::LocalWallet;
use crate::chain::{Chain, Target};
use crate::cli::client::Access;
use crate::dev::anvil::{self, Anvil, Mining};
use crate::dev::folder::{self, DemoAccount, DemoIdentity, DevJson, Folder};
use crate::dev::postgres::{self, Postgres};
use crate::dev::{cert, line, say};
use crate::ledger::accounts::Role;
use crate::ledger::{Ledger, LedgerError};
use crate::ports::Ports;

/// First account of anvil's mnemonic: owns and publishes. Known to everybody, worth nothing anywhere else.
const PUBLISHER: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
/// How long deploying, and the service's start, may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Whose accounts are made.
const ACCOUNTS: [(&str, Role); 3] =
    [("demo-partner", Role::Partner), ("demo-manager", Role::Manager), ("demo-validator", Role::Validator)];

/// Everything that runs beside the service.
#[derive(Debug)]
pub struct Stack {
    /// How the demo partner reaches the API.
    pub access: Access,
    /// The authority's certificate.
    pub ca_cert: PathBuf,
    /// What `dev.json` says.
    pub told: DevJson,
    postgres: Postgres,
    anvil: Anvil,
}

impl Stack {
    /// Starts the servers, or goes on with those of an earlier start, and writes the service's settings. `addresses` are
    /// those of the partner API, of the KageSecur dialect, and of health and metrics.
    ///
    /// # Errors
    /// Says what is missing or in the way.
    pub async fn start(folder: &Folder, addresses: [SocketAddr; 4], rpc_port: u16, ports: &Ports) -> Result<Self> {
        let earlier = folder.earlier()?;
        println!("sceau dev: a local stack in {}", folder.shown(folder.path()));
        let random = |length: usize| {
            let mut bytes = vec![0; length];
            ports.entropy.fill(&mut bytes);
            hex::encode(bytes)
        };

        let (_, password) = folder.secret("postgres", || Ok(random(16)))?;
        let data = folder.path().join("postgres");
        let options = postgres::Options {
            data: &data,
            port: None,
            database: "sceau",
            password: &password,
            binaries: None,
            settings: &[],
            throw_away: false,
        };
        let postgres = postgres::start(options, &say).await?;
        line("postgres", format_args!("{} on {}, data in {}", postgres.major, postgres.address, folder.shown(&data)));
        postgres.notes.iter().for_each(|note| say(note));

        let data = folder.path().join("chain");
        let options =
            anvil::Options { data: &data, port: Some(rpc_port), mining: Mining::OnDemand, binary: None, throw_away: false };
        let anvil = anvil::start(options, &say).await?;
        line("chain", format_args!("anvil at {}, chain id {}", anvil.url, anvil::CHAIN_ID));

        let (key_file, key) = folder.secret("publisher", || Ok(PUBLISHER.into()))?;
        let wallet = LocalWallet::from_hex(&key.into())?;
        let registry = match earlier.as_ref().map(|told| told.registry.as_str()) {
            Some(registry) => known_registry(&anvil, registry).await?,
            None => deploy(&anvil, &wallet).await?,
        };
        line("registry", &registry);

        let (pepper_file, _) = folder.secret("pepper", || Ok(random(32)))?;
        let (token_file, _) =
            folder.secret("token.pem", || Ok(rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?.serialize_pem()))?;
        let (dialect_file, _) = folder.secret("kagesecur", || Ok(random(32)))?;
        let certificate = cert::ensure(&folder.path().join("tls"), ports.clock.as_ref())?;

        let ledger = Ledger::connect(&postgres.url, 2)?;
        ledger
            .migrate()
            .await
            .context("the database of an earlier version cannot be used; start over with `sceau dev --reset`")?;
        let pepper = Pepper::load(&pepper_file)?;
        let mut accounts = match earlier {
            Some(earlier) => earlier.accounts,
            None => {
                let mut accounts = Vec::new();
                for (name, role) in ACCOUNTS {
                    accounts.push(account(&ledger, &pepper, ports, name, role).await?);
                }
                ledger.add_validator("demo-partner", "demo-validator").await?;
                ledger.add_client("demo-manager", "demo-partner").await?;
                ledger.let_administer("demo-manager", "demo-partner", true).await?;
                accounts
            }
        };
        for account in accounts.iter_mut().filter(|account| account.kagesecur.is_none()) {
            account.kagesecur = Some(identity(&ledger, &pepper, &account.name, random(16)).await?);
        }
        ledger.close().await;
        let names: Vec<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
        line("accounts", names.join(", "));

        let told = DevJson {
            api_url: format!("https://localhost:{}", addresses[0].port()),
            kagesecur_url: format!("https://localhost:{}", addresses[1].port()),
            ca_cert: certificate.ca.clone(),
            core_url: format!("https://localhost:{}", addresses[2].port()),
            metrics_url: format!("http://{}/metrics", addresses[3]),
            rpc_url: anvil.url.clone(),
            chain_id: anvil::CHAIN_ID,
            registry,
            database_url: postgres.url.clone(),
            accounts,
        };
        let settings = settings::toml(&told, addresses, &certificate, [&token_file, &pepper_file, &dialect_file, &key_file]);
        folder::write(&folder.settings(), &settings)?;
        folder::write(&folder.dev_json(), &format!("{}\n", serde_json::to_string_pretty(&told)?))?;
        let partner = told.accounts.iter().find(|account| account.role == "partner").context("dev.json names no partner")?;
        let access = Access {
            api_url: told.api_url.clone(),
            ca_cert: Some(std::fs::read(&certificate.ca)?),
            consumer_key: partner.consumer_key.clone(),
            consumer_secret: partner.consumer_secret.clone().into(),
        };
        Ok(Self { access, ca_cert: certificate.ca, told, postgres, anvil })
    }

    /// Makes blocks while transactions wait for them, and answers which server ended first.
    pub async fn first_to_die(&self) -> &'static str {
        let mine = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if let Err(error) = self.anvil.mine_if_needed().await {
                    tracing::warn!(%error, "making blocks");
                }
            }
        };
        tokio::select! {
            _ = self.postgres.child.wait() => "Postgres",
            _ = self.anvil.child.wait() => "the chain",
            () = mine => unreachable!("mining does not end"),
        }
    }

    /// Waits until the service answers.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn wait_until_ready(&self) -> Result<()> {
        let ca = reqwest::Certificate::from_pem(self.access.ca_cert.as_deref().unwrap_or_default())?;
        let http = reqwest::Client::builder().tls_certs_only([ca]).timeout(Duration::from_secs(5)).build()?;
        let ready = async {
            while !http
                .get(format!("{}/readyz", self.access.api_url))
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success())
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.context("the service does not become ready")
    }

    /// Ends the servers: the service is stopped by now.
    pub async fn stop(self) {
        self.anvil.stop().await;
        self.postgres.stop().await;
    }
}

/// The registry of an earlier start, which must still be there.
async fn known_registry(anvil: &Anvil, registry: &str) -> Result<String> {
    let address = registry.parse().with_context(|| format!("dev.json: registry {registry:?}"))?;
    let chain = Evm::connect(&anvil.url, Target { chain_id: anvil::CHAIN_ID, registry: address })?;
    if chain.code_hash().await?.is_none() {
        bail!("the local chain no longer has the registry {registry}: its state was lost; start over with `sceau dev --reset`");
    }
    Ok(registry.into())
}

async fn deploy(anvil: &Anvil, wallet: &LocalWallet) -> Result<String> {
    let plan = Plan {
        chain_id: anvil::CHAIN_ID,
        owner: wallet.account(),
        publisher: wallet.account(),
        first_number: 1,
        fee_ceiling: 100_000_000_000,
        patience: PATIENCE,
    };
    let mine = async {
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            anvil.mine_if_needed().await?;
        }
    };
    tokio::select! {
        deployed = deploy::deploy(&anvil.url, wallet, &plan) => Ok(deployed.context("deploying the registry")?.address.to_string().to_lowercase()),
        failed = mine => failed,
    }
}

/// Makes an account; under a longer name where an earlier start, whose `dev.json` is gone, made that one.
async fn account(ledger: &Ledger, pepper: &Pepper, ports: &Ports, name: &str, role: Role) -> Result<DemoAccount> {
    let mut name = name.to_owned();
    loop {
        let made = secret::generate(ports.entropy.as_ref());
        let consumer_secret = made.secret.expose_secret().to_owned();
        match ledger.create_account(&name, role, &made.key, pepper.hash(&consumer_secret)).await {
            Ok(_) => {
                let role = role.as_str().into();
                return Ok(DemoAccount { name, role, consumer_key: made.key, consumer_secret, kagesecur: None });
            }
            Err(LedgerError::Moved { .. }) => {
                let mut more = [0; 2];
                ports.entropy.fill(&mut more);
                name = format!("{name}-{}", hex::encode(more));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Lets an account speak the KageSecur dialect under its name.
async fn identity(ledger: &Ledger, pepper: &Pepper, name: &str, clef: String) -> Result<DemoIdentity> {
    let hash = pepper.keyed(Domain::Empreinte, secret::empreinte(name, &clef).as_bytes());
    ledger.set_identity(name, name, &hash).await?;
    Ok(DemoIdentity { identifiant: name.into(), clef })
}
