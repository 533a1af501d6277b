//! The whole way with a real node: awaiting, approved, sealed, final; and refused. By the command line, checked afterwards
//! by two verifiers that share nothing.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use sceau::audit::{self, Witness};
use sceau::chain::deploy::{self, Plan};
use sceau::chain::evm::Evm;
use sceau::chain::signer::LocalWallet;
use sceau::chain::{Chain, Target};
use sceau::dev::anvil::Mining;
use sceau::ledger::anchors::AnchorState;
use sceau::pipeline::Step;
use sceau::pipeline::anchoring::{Anchoring, Policy};
use sceau_verifier::{Digest, receipt};
use serde_json::{Value, json};
use uuid::Uuid;

use super::office;
use crate::api::kit::{Account, PUBLIC_URL, Service, service};
use crate::cli::command::Place;
use crate::support::{self, Anvil};

/// First account of the test mnemonic.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

pub struct Registry {
    anvil: Anvil,
    anchoring: Anchoring,
    chain: Arc<Evm>,
}

pub async fn registry(service: &Service) -> Registry {
    let anvil = support::anvil_with(Mining::Instant).await;
    let wallet = Arc::new(LocalWallet::from_hex(&KEY.into()).unwrap());
    let account = wallet.account();
    let patience = Duration::from_secs(60);
    let plan =
        Plan { chain_id: 31337, owner: account, publisher: account, first_number: 1, fee_ceiling: 100_000_000_000, patience };
    let address = deploy::deploy(&anvil.url, &wallet, &plan).await.unwrap().address;
    let chain = Arc::new(Evm::connect(&anvil.url, Target { chain_id: 31337, registry: address }).unwrap());
    let policy = Policy { bump_after: Duration::from_secs(3600), resend_after: Duration::from_millis(1), ..Policy::default() };
    let shared: Arc<dyn Chain> = chain.clone();
    let anchoring = Anchoring::connect(service.ledger.clone(), shared, wallet, policy, Uuid::from_u128(1)).await.unwrap();
    Registry { anvil, anchoring, chain }
}

impl Registry {
    pub async fn until(&self, service: &Service, batch: u64, state: AnchorState) {
        for _ in 0..400 {
            while self.anchoring.step().await.unwrap() == Step::Worked {}
            if service.ledger.anchors(batch).await.unwrap()[0].state == state {
                return;
            }
            self.anvil.mine(1).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("batch {batch} does not become {state:?}");
    }
}

/// The command line of an account.
pub fn place(service: &Service, account: &Account) -> Place {
    Place::new()
        .with("SCEAU_API_URL", &service.base)
        .with("SCEAU_CONSUMER_KEY", &account.key)
        .with("SCEAU_CONSUMER_SECRET", &account.secret)
}

/// Exit status and answer of both verifiers, which must have the same status and code.
fn verdict(document: &Path, receipt: &Path, arguments: &[String]) -> (u8, Value) {
    let files = [document, receipt].map(|path| path.display().to_string());
    let all: Vec<String> = files.iter().chain(arguments).cloned().chain(["--json".to_owned()]).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = sceau_verifier::cli::run(all.iter().cloned(), &mut out, &mut err);
    let answer: Value = serde_json::from_slice(&out).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&err)));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/check.py");
    let second = Command::new("python3").arg("-B").arg(script).args(&all).output().expect("python3 runs");
    let other: Value =
        serde_json::from_slice(&second.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&second.stderr)));
    assert_eq!((second.status.code(), &other["code"]), (Some(status.into()), &answer["code"]), "{answer} {other}");
    (status, answer)
}

fn hash(receipt: &Value) -> String {
    receipt["anchors"][0]["block_hash"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn approved_documents_become_final_with_their_decisions_and_refused_ones_do_not() {
    let service = service().await;
    let office = office(&service, 1, &["Maître Dupont"]).await;
    let registry = registry(&service).await;

    // The operator names a second validator and wants both.
    let operator = Place::new();
    operator.file("sceau.toml", format!("database_url = '{}'\n", service.database.url));
    let deputy = service.account("Maître Durand", sceau::ledger::accounts::Role::Validator).await;
    let validator = |arguments: &[&str]| operator.run(&[&["account", "--config", "sceau.toml", "validator"], arguments].concat());
    validator(&["add", "acme", "Maître Durand"]).ends(0);
    validator(&["add", "acme", "Maître Durand"]).ends(1).briefly();
    validator(&["add", "acme", "acme"]).ends(1).briefly();
    validator(&["require", "acme", "3"]).ends(0).says(&["needs 3 approvals and has 2"]);
    validator(&["require", "acme", "2"]).ends(0);
    validator(&["require", "acme", "11"]).ends(2);
    let listed = validator(&["list", "acme", "--json"]).ends(0).json();
    assert_eq!(listed[0]["validators"].as_array().unwrap().len(), 2);

    // The owner submits a contract and a draft.
    let owner = place(&service, &office.owner);
    let (contract, draft) = (owner.file("contrat.pdf", "signé à Paris"), owner.file("brouillon.pdf", "à revoir"));
    let submitted = owner.run(&["submit", "--validation", "--json", "contrat.pdf", "brouillon.pdf"]).ends(0).json();
    assert!(submitted.iter().all(|one| one["status"] == "awaiting_validation"), "{submitted:?}");
    let id = |at: usize| submitted[at]["validation"]["id"].as_str().unwrap().to_owned();
    assert!(owner.run(&["status", "contrat.pdf"]).ends(0).stdout.starts_with("awaiting_validation"));
    owner.run(&["receipt", "contrat.pdf"]).ends(1).says(&["waits for its validators"]);

    // The first validator approves one and refuses the other.
    let first = place(&service, &office.validators[0].0);
    let waiting = first.run(&["validations", "list", "--json"]).ends(0).json();
    assert_eq!(waiting.len(), 2);
    first.run(&["validations", "approve", &id(0), "--comment", "conforme"]).ends(0);
    first.run(&["validations", "refuse", &id(1), "--comment", "non signé"]).ends(0);
    first.run(&["validations", "approve", &id(1)]).ends(1).says(&["decided otherwise"]);
    assert_eq!(first.run(&["validations", "list"]).ends(0).stdout, "");
    let one = service.seal().await;
    registry.until(&service, one, AnchorState::Final).await;

    // The contract still waits, sealed and final as the decisions about it are.
    assert!(owner.run(&["status", "contrat.pdf"]).ends(0).stdout.starts_with("awaiting_validation"));
    assert!(owner.run(&["status", "brouillon.pdf"]).ends(0).stdout.starts_with("refused"));
    owner.run(&["receipt", "brouillon.pdf"]).ends(1).says(&["refused"]);
    let refusal = &service.json(&format!("/v1/validations/{}", id(1)), &office.token).await["decisions"][0];
    let statement = owner.file("refusal.txt", refusal["statement"].as_str().unwrap());
    let link = refusal["receipt"].as_str().unwrap().strip_prefix(PUBLIC_URL).unwrap().to_owned();
    let bytes = service.get(&format!("{link}?final=true"), &office.validators[0].1).await.bytes().await.unwrap();
    let of_refusal = owner.file("refusal.json", &bytes);
    let pins = |hashes: &[String]| -> Vec<String> {
        let address = registry.chain.target().registry.to_string().to_lowercase();
        let mut pins = vec!["--registry".into(), address, "--chain".into(), "eip155:31337".into()];
        for hash in hashes {
            pins.extend(["--block-hash".into(), hash.clone()]);
        }
        pins
    };
    let block = hash(&serde_json::from_slice(&bytes).unwrap());
    let (status, answer) = verdict(&statement, &of_refusal, &pins(std::slice::from_ref(&block)));
    assert_eq!((status, &answer["sealed_as_decision"]), (0, &json!(true)), "the refusal has its own proof");

    // The second approves: now it is in the pool, and all the way to final.
    let second = place(&service, &deputy);
    second.run(&["validations", "approve", &id(0)]).ends(0);
    assert!(owner.run(&["status", "contrat.pdf"]).ends(0).stdout.starts_with("pending"));
    let two = service.seal().await;
    assert!(owner.run(&["status", "contrat.pdf"]).ends(0).stdout.starts_with("sealed"));
    registry.until(&service, two, AnchorState::Included).await;
    owner.run(&["receipt", "contrat.pdf", "-o", "early.json"]).ends(0);
    let early = receipt::parse(&std::fs::read(owner.path("early.json")).unwrap()).unwrap();
    assert_eq!((early.decisions.len(), early.anchors[0].evidence.is_none()), (2, true), "as far as the document is");
    registry.until(&service, two, AnchorState::Final).await;
    assert!(owner.run(&["status", "contrat.pdf"]).ends(0).stdout.starts_with("final"));

    owner.run(&["receipt", "--final", "contrat.pdf"]).ends(0);
    let saved = owner.path("contrat.pdf.sceau.json");
    let whole: Value = serde_json::from_slice(&std::fs::read(&saved).unwrap()).unwrap();
    let batches: Vec<&Value> =
        whole["decisions"].as_array().unwrap().iter().map(|one| &one["receipt"]["batch"]["number"]).collect();
    assert_eq!(batches, [&json!(one), &json!(two)]);
    let own = hash(&whole);
    let (status, answer) = verdict(&contract, &saved, &pins(&[own.clone(), block.clone()]));
    assert_eq!((status, &answer["verdict"]), (0, &json!("verified")), "{answer}");
    let told: Vec<_> = answer["decisions"].as_array().unwrap().iter().map(|one| (&one["validator"], &one["code"])).collect();
    assert_eq!(told, [(&json!("Maître Dupont"), &json!("ok")), (&json!("Maître Durand"), &json!("ok"))]);
    assert_eq!(verdict(&contract, &saved, &pins(&[own])).1["code"], "decision_not_checked");
    assert_eq!(verdict(&draft, &saved, &pins(&[block])).1["code"], "document_mismatch");
    let question = format!("{{\"receipt\":{}}}", std::fs::read_to_string(&saved).unwrap());
    let asked: Value = service.send(Method::POST, "/v1/verify", &office.token, Some(question)).await.json().await.unwrap();
    assert_eq!((&asked["verdict"], &asked["code"]), (&json!("verified"), &json!("ok")), "{asked}");

    // What anybody can do: have the digest of a statement of his own sealed.
    let forged = whole["decisions"][0]["statement"].as_str().unwrap().replace("Maître Dupont", "Maître Corbeau");
    service.submit(&office.token, &[Digest::of(forged.as_bytes())]).await;
    let three = service.seal().await;
    registry.until(&service, three, AnchorState::Final).await;
    let path = format!("/v1/proofs/{}/receipt?final=true", Digest::of(forged.as_bytes()));
    let of_forgery = receipt::parse(&service.get(&path, &office.token).await.bytes().await.unwrap()).unwrap();
    let of_forgery_block = of_forgery.anchors[0].block_hash.to_string();
    let mut bent = receipt::parse(&std::fs::read(&saved).unwrap()).unwrap();
    bent.decisions.push(receipt::Decision { statement: forged, receipt: of_forgery });
    let bent = owner.file("bent.json", bent.to_bytes());
    assert_eq!(verdict(&contract, &bent, &pins(&[of_forgery_block])).1["code"], "decision_mismatch");

    let chain: Arc<dyn Chain> = registry.chain.clone();
    let report = audit::run(&service.ledger, &[Witness { chain, depth: None, evidence: true }], |_| ()).await.unwrap();
    assert_eq!(report.findings, []);
    assert_eq!((report.validations, report.batches), (2, 4));
}
