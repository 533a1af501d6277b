//! One process for the API and one for the pipeline, as operators run them, and what both tell about themselves.

use std::time::Duration;

use sceau::api::access::secret::{Pepper, generate};
use sceau::chain::deploy::{self, Plan};
use sceau::chain::signer::LocalWallet;
use sceau::dev::anvil::Mining;
use sceau::ledger::Ledger;
use sceau::ledger::accounts::Role;
use sceau::ports::SystemEntropy;
use sceau_verifier::Digest;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::instance::{Instance, settings};
use crate::support::metrics::{Scrape, read};
use crate::support::service::lasting_port;
use crate::support::{self, Anvil, Database};

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// What a service of one test stands on.
struct Ground {
    home: tempfile::TempDir,
    database: Database,
    anvil: Anvil,
    registry: String,
    credentials: (String, String),
}

impl Ground {
    async fn new() -> Self {
        support::crypto();
        let home = tempfile::tempdir().expect("a folder");
        let (database, anvil) = tokio::join!(support::database(), support::anvil_with(Mining::Every(std::num::NonZeroU32::MIN)));
        let wallet = LocalWallet::from_hex(&KEY.into()).expect("a key");
        let plan = Plan {
            chain_id: 31337,
            owner: wallet.account(),
            publisher: wallet.account(),
            first_number: 1,
            fee_ceiling: 100_000_000_000,
            patience: Duration::from_secs(60),
        };
        let registry = deploy::deploy(&anvil.url, &wallet, &plan).await.expect("a registry").address.to_string();
        let ledger = Ledger::connect(&database.url, 2).expect("a URL");
        let made = generate(&SystemEntropy);
        let secret = made.secret.expose_secret().to_owned();
        ledger.create_account("a", Role::Partner, &made.key, Pepper::from_bytes([0x5c; 32]).hash(&secret)).await.expect("made");
        Self { home, database, anvil, registry: registry.to_lowercase(), credentials: (made.key, secret) }
    }

    fn target(&self, signer: &str) -> String {
        let Self { anvil, registry, .. } = self;
        format!("[[targets]]\nrpc_url = {:?}\nchain_id = 31337\nregistry = {registry:?}\nsigner = {signer}\n", anvil.url)
    }

    async fn token(&self, base: &str) -> String {
        let asked = reqwest::Client::new()
            .post(format!("{base}/oauth2/token"))
            .basic_auth(&self.credentials.0, Some(&self.credentials.1))
            .header("content-type", "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials");
        let answer: Value = asked.send().await.expect("an answer").json().await.expect("a token");
        answer["access_token"].as_str().expect("a token").into()
    }
}

async fn scrape(port: u16) -> Scrape {
    let answer = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await.expect("an answer");
    assert_eq!(answer.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    read(&answer.text().await.expect("text"))
}

async fn get(url: String) -> (u16, Value) {
    let answer = reqwest::get(url).await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_accepts_and_the_pipeline_anchors_each_with_its_own_keys() {
    let ground = Ground::new().await;
    let key = ground.home.path().join("publisher");
    std::fs::write(&key, KEY).expect("a file");
    let [api, api_metrics, none, metrics] = [(); 4].map(|()| lasting_port());
    // The API's process cannot read the publisher's key, the pipeline's cannot read the API's.
    let home = ground.home.path();
    let for_api =
        settings(home, "api.toml", &ground.database.url, [api, api_metrics], &ground.target("{ key_file = \"nowhere\" }"));
    let for_pipeline = settings(
        home,
        "pipeline.toml",
        &ground.database.url,
        [none, metrics],
        &ground.target(&format!("{{ key_file = {key:?} }}")),
    );
    let text = std::fs::read_to_string(&for_pipeline).expect("written");
    let blind = text.replace("token.pem\"", "nowhere\"").replace("pepper\"\n", "nowhere\"\n");
    assert_ne!(blind, text);
    std::fs::write(&for_pipeline, blind).expect("written");

    let mut accepting = Instance::start(&for_api, "api", &["--api-only"]);
    let base = format!("http://127.0.0.1:{api}");
    accepting.ready(&format!("{base}/readyz")).await;
    let token = ground.token(&base).await;
    let digest = Digest::of(b"modes");
    let http = reqwest::Client::new();
    let submit = || http.post(format!("{base}/v1/proofs")).bearer_auth(&token).json(&json!({ "proofs": [{ "digest": digest }] }));
    assert_eq!(submit().send().await.expect("an answer").status(), 201);
    // An answer may be two seconds old.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (_, status) = get(format!("{base}/v1/status")).await;
    assert!(status["oldest_pending"]["received_at"].is_string() && status["last_sealed"].is_null(), "nobody seals: {status}");
    let before = scrape(api_metrics).await;
    assert_eq!(before.value("sceau_build_info{version=\"0.1.0\",mode=\"api\"}"), 1.0);
    assert_eq!((before.value("sceau_intake_accepted_total"), before.value("sceau_database_up")), (1.0, 1.0));
    assert_eq!(before.value("sceau_http_requests_total{route=\"/v1/proofs\",method=\"POST\",status=\"201\"}"), 1.0);
    assert_eq!(before.sum("sceau_chain_calls_total", &[]), 0.0, "no chain is asked");

    let mut anchoring = Instance::start(&for_pipeline, "pipeline", &["--pipeline-only"]);
    let inner = format!("http://127.0.0.1:{metrics}");
    anchoring.ready(&format!("{inner}/readyz")).await;
    let is_final = async || {
        let answer = http.get(format!("{base}/v1/proofs/{digest}")).bearer_auth(&token).send().await.expect("an answer");
        answer.json::<Value>().await.expect("JSON")["status"] == "final"
    };
    let deadline = std::time::Instant::now() + Duration::from_secs(180);
    while !is_final().await {
        assert!(std::time::Instant::now() < deadline, "not final:\n{}", anchoring.said());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Health and metrics are all there is.
    assert_eq!(get(format!("{inner}/healthz")).await.0, 200);
    for path in ["/v1/status", "/oauth2/token", "/v1/batches/1"] {
        assert_eq!(get(format!("{inner}{path}")).await.0, 404, "{path}");
    }
    assert!(reqwest::get(format!("http://127.0.0.1:{none}/healthz")).await.is_err(), "nothing listens for partners");

    // What the database says is asked at most every two seconds.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = scrape(metrics).await;
    let target = format!("target=\"eip155:31337:{}\"", ground.registry);
    assert_eq!(after.value(&format!("sceau_last_final_batch{{{target}}}")), 1.0);
    assert_eq!(after.value("sceau_anchors_finalized_total"), 1.0);
    assert_eq!(after.value("sceau_attempts_stored_total{kind=\"first\"}"), 1.0);
    assert_eq!(after.value(&format!("sceau_anchors{{{target},state=\"sent\"}}")), 0.0);
    assert!(after.value(&format!("sceau_chain_head{{{target},endpoint=\"1\"}}")) > 1.0);
    assert!(
        after.value(&format!("sceau_chain_base_fee_wei{{{target}}}"))
            < after.value(&format!("sceau_chain_fee_ceiling_wei{{{target}}}"))
    );
    assert!(after.sum("sceau_signer_mined_nonce", &[]) >= 1.0, "the deployment, and the anchor if that was asked later");
    assert_eq!(after.sum("sceau_signer_next_nonce", &[]), 2.0);
    assert!(after.sum("sceau_chain_sent_total", &["answer=\"accepted\""]) >= 1.0);
    assert!(after.sum("sceau_chain_calls_total", &["call=\"heads\"", "outcome=\"ok\""]) >= 1.0);
    assert_eq!(after.value("sceau_oldest_unanchored_age_seconds"), 0.0);
    assert_eq!((after.value("sceau_halted_steps"), after.value("sceau_overdue_proofs")), (0.0, 0.0));
    // The same facts, told in the log when they changed.
    let told = anchoring.lines("status");
    assert!(told.iter().any(|line| line["last_sealed"] == 1 && line["overdue"] == 0), "{told:?}");

    assert_eq!(submit().send().await.expect("an answer").status(), 200);
    for answer in [http.get(format!("{base}/v1/proofs/{digest}")), http.get(format!("{base}/nowhere"))] {
        answer.bearer_auth("wrong").send().await.expect("an answer");
    }
    ground.database.pool.close().await;
    let moved = scrape(api_metrics).await;
    assert_eq!((moved.value("sceau_intake_accepted_total"), moved.value("sceau_intake_repeated_total")), (1.0, 1.0));
    assert_eq!(moved.value("sceau_token_failures_total{reason=\"token_invalid\"}"), 1.0);
    assert_eq!(moved.value("sceau_http_problems_total{code=\"not_found\"}"), 1.0);
    assert_eq!(moved.value("sceau_http_requests_total{route=\"-\",method=\"GET\",status=\"404\"}"), 1.0);
    assert_eq!(moved.value("sceau_intake_group_count"), 2.0);
    assert!(moved.families.len() > before.families.len().min(20), "{:?}", moved.families);

    assert!(anchoring.stop().success() && accepting.stop().success(), "orderly ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_could_not_be_watched_or_does_nothing_does_not_start() {
    let home = tempfile::tempdir().expect("a folder");
    let database = support::database().await;
    let [api, metrics] = [(); 2].map(|()| lasting_port());
    let file = settings(home.path(), "sceau.toml", &database.url, [api, metrics], "");
    let text = std::fs::read_to_string(&file).expect("written");
    let mut both = Instance::start(&file, "both", &["--api-only", "--pipeline-only"]);
    assert_eq!(both.ended().code(), Some(2), "{}", both.said());
    std::fs::write(&file, text.split("[metrics]").next().expect("a part")).expect("written");
    let mut blind = Instance::start(&file, "blind", &["--pipeline-only"]);
    assert_eq!(blind.ended().code(), Some(1), "{}", blind.said());
    assert!(blind.said().contains("metrics.listen: set it"), "{}", blind.said());
    let low = text.replace("[seal]\n", "[seal]\nthreshold = 10\nhigh_water = 10\n");
    std::fs::write(&file, low).expect("written");
    let mut low = Instance::start(&file, "low", &[]);
    assert_eq!(low.ended().code(), Some(1));
    assert!(low.said().contains("seal.high_water: must be above seal.threshold"), "{}", low.said());
}
