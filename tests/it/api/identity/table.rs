//! Every route against everything that can be amiss with its caller. What is expected stands in `docs/api.md`, what
//! routes there are in the router's own list: a route without a row here, or not in the pages, is a failure.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, Response};
use sceau::api::access::limit::{Rate, Rates};
use sceau::api::access::token::{Scope, Scopes, Tokens};
use sceau::api::routes::{self, Access, Route};
use sceau::ledger::accounts::limits::{Change, Changes};
use sceau::ledger::accounts::{Credential, Role};
use sceau::ports::{Clock, SystemEntropy};
use serde_json::{Value, json};

use super::pages::rows;
use super::samples::sample;
use crate::api::kit::{Account, LIFE, PUBLIC_URL, Service, TOKEN_KEY, core_of, digest, forgetful, problem};
use crate::validations::office;

/// The table of refusals: what is amiss, and the status and code at routes with a scope and at the token routes.
fn refusals() -> BTreeMap<String, [Option<(u16, String)>; 2]> {
    let cell = |text: &str| {
        let (status, code) = text.split_once(' ')?;
        Some((status.parse().unwrap(), code.replace('`', "")))
    };
    rows("| what is amiss |").into_iter().map(|row| (row[0].clone(), [cell(&row[1]), cell(&row[2])])).collect()
}

async fn expect(what: &str, route: &Route, answer: Response, (status, code): (u16, &str)) {
    println!("{} {}: {what}", route.method, route.path);
    if code.is_empty() {
        let (found, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(found, status, "{text}");
    } else if answer.headers()["content-type"] == "application/json" {
        let challenged = answer.headers().contains_key("www-authenticate");
        assert_eq!((answer.status().as_u16(), challenged), (status, status == 401));
        assert_eq!(answer.json::<Value>().await.unwrap()["error"], code);
    } else {
        assert_eq!(answer.headers().contains_key("www-authenticate"), status == 401 || code == "scope_missing");
        assert_eq!(
            answer.headers().contains_key("retry-after"),
            status == 429 || ["receipt_not_ready", "erasure_too_early"].contains(&code)
        );
        problem(answer, status, code).await;
    }
}

struct Table {
    service: Service,
    tokens: Tokens,
    /// Of proof 1 and of document 2.
    owner: Account,
    /// Approved document 2.
    validator: Account,
    /// Acts for the owner.
    manager: Account,
    validation: String,
    decision: String,
    webhook: String,
    /// Where the managers' listener is, and an account that the manager administers.
    core: Service,
    managed: String,
    documented: BTreeMap<String, [Option<(u16, String)>; 2]>,
    /// Which rows of the pages were tried.
    tried: std::cell::RefCell<std::collections::BTreeSet<String>>,
}

impl Table {
    fn documented(&self, what: &str, column: usize) -> Option<(u16, String)> {
        self.tried.borrow_mut().insert(what.into());
        self.documented.get(what).unwrap_or_else(|| panic!("{what}: not in the pages"))[column].clone()
    }

    async fn ask(&self, route: &Route, authorization: Option<&str>) -> Response {
        let sample = sample(route);
        let path = sample.path.replace("DIGEST", &digest(1).to_string());
        let path = path.replace("VALIDATION", &self.validation).replace("DECISION", &self.decision);
        let path = path.replace("WEBHOOK", &self.webhook);
        let path =
            path.replace("VALIDATION", &self.validation).replace("DECISION", &self.decision).replace("MANAGED", &self.managed);
        let base = if path.starts_with("/core/") { &self.core.base } else { &self.service.base };
        let method: Method = route.method.parse().unwrap();
        let mut request = self.service.client.request(method, format!("{base}{path}"));
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        if let Some(body) = sample.body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        if route.access == Access::Client {
            let form = "grant_type=client_credentials&token=x";
            request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        }
        request.send().await.unwrap()
    }

    async fn credential(&self, account: &Account) -> Credential {
        self.service.ledger.credential(&account.key).await.unwrap().unwrap()
    }

    fn token(&self, account: &Account, credential: &Credential, scopes: &str, ago: i64) -> String {
        let moment = self.service.clock.now() - time::Duration::seconds(ago);
        let scopes = Scopes::parse(scopes).unwrap();
        let token = self.tokens.issue(credential, &account.key, scopes, moment, &SystemEntropy).unwrap();
        format!("Bearer {token}")
    }

    async fn try_scope(&self, route: &Route, scope: Scope) {
        let refused = async |what: &str, authorization: Option<&str>| {
            let (status, code) = self.documented(what, 0).unwrap();
            expect(what, route, self.ask(route, authorization).await, (status, &code)).await;
        };
        let role = if scope == Scope::Validate { Role::Validator } else { Role::Manager };
        let name = format!("{} {} other", route.method, route.path);
        let (word, other_word) = (scope.as_str(), if scope == Scope::Manage { "proofs:read" } else { "manage" });
        let other = self.service.account(&name, role).await;
        let credential = self.credential(&other).await;
        let right = self.token(&other, &credential, word, 0);

        refused("no token", None).await;
        refused("a token that is not ours, bent, or of another dialect", Some("Bearer x")).await;
        let hs256 = {
            let header = Header { typ: Some("JWT".into()), ..Header::new(Algorithm::HS256) };
            let claims =
                json!({ "sub": self.owner.id, "iat": 1_790_000_000_000_i64, "exp": 9_999_999_999_999_i64, "identifiant": "a" });
            jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&[7; 32])).unwrap()
        };
        refused("a token that is not ours, bent, or of another dialect", Some(&format!("Bearer {hs256}"))).await;
        refused("a token whose time is over", Some(&self.token(&other, &credential, word, LIFE as i64 + 60))).await;
        refused("a token without the scope", Some(&self.token(&other, &credential, other_word, 0))).await;
        let basic = |secret: &str| format!("Basic {}", STANDARD.encode(format!("{}:{secret}", other.key)));
        refused("a wrong secret (Basic)", Some(&basic("cs_wrong"))).await;
        refused("Basic, and the account does not take it", Some(&basic(&other.secret))).await;
        if let Some(foreign) = sample(route).foreign {
            expect("another account's object", route, self.ask(route, Some(&right)).await, foreign).await;
        }
        let own = match scope {
            Scope::Validate => &self.validator,
            Scope::Manage => &self.manager,
            Scope::ProofsRead | Scope::ProofsWrite => &self.owner,
        };
        let own = self.token(own, &self.credential(own).await, word, 0);
        expect("in order", route, self.ask(route, Some(&own)).await, sample(route).own).await;
        self.service.ledger.set_networks(&name, &["192.0.2.0/24".parse().unwrap()]).await.unwrap();
        refused("an address outside the list", Some(&right)).await;
        self.service.ledger.set_networks(&name, &[]).await.unwrap();
        let few = Changes { requests_per_second: Change::Set(1), burst: Change::Set(1), digests_per_day: Change::Keep };
        self.service.ledger.change_limits(Some(&name), few).await.unwrap();
        let (status, code) = self.documented("too many requests", 0).unwrap();
        let mut answer = self.ask(route, Some(&right)).await;
        for _ in 0..100 {
            if answer.status() == status {
                break;
            }
            answer = self.ask(route, Some(&right)).await;
        }
        expect("too many requests", route, answer, (status, &code)).await;
        self.service
            .ledger
            .change_limits(
                Some(&name),
                Changes { requests_per_second: Change::Default, burst: Change::Default, digests_per_day: Change::Keep },
            )
            .await
            .unwrap();
        self.service.ledger.revoke_tokens(&name).await.unwrap();
        refused("a revoked token", Some(&right)).await;
        let fresh = self.token(&other, &self.credential(&other).await, word, 0);
        self.service.ledger.disable_account(&name).await.unwrap();
        refused("a disabled account or a revoked credential", Some(&fresh)).await;
    }

    async fn try_client(&self, route: &Route, crowded: &Service) {
        let refused = async |what: &str, authorization: Option<&str>| {
            let (status, code) = self.documented(what, 1).unwrap();
            expect(what, route, self.ask(route, authorization).await, (status, &code)).await;
        };
        let name = format!("{} client", route.path);
        let account = self.service.account(&name, Role::Partner).await;
        let basic = |secret: &str| format!("Basic {}", STANDARD.encode(format!("{}:{secret}", account.key)));
        let right = basic(&account.secret);
        refused("no token", None).await;
        refused("a token that is not ours, bent, or of another dialect", Some("Bearer x")).await;
        refused("a wrong secret (Basic)", Some(&basic("cs_wrong"))).await;
        expect("in order", route, self.ask(route, Some(&right)).await, sample(route).own).await;
        self.service.ledger.set_networks(&name, &["192.0.2.0/24".parse().unwrap()]).await.unwrap();
        refused("an address outside the list", Some(&right)).await;
        self.service.ledger.set_networks(&name, &[]).await.unwrap();
        self.service.ledger.disable_account(&name).await.unwrap();
        refused("a disabled account or a revoked credential", Some(&right)).await;
        let mut answer = crowded.post_form(route.path, "").await;
        for _ in 0..100 {
            if answer.status() == 429 {
                break;
            }
            answer = crowded.post_form(route.path, "").await;
        }
        let (status, code) = self.documented("too many requests", 1).unwrap();
        expect("too many requests", route, answer, (status, &code)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_as_documented() {
    let service = forgetful().await;
    let crowded = service.twin(|state| state.rates = Arc::new(Rates::new(Rate { per_second: 1, burst: 1 }))).await;
    let office = office(&service, 2, &["first", "second"]).await;
    service.submit(&office.token, &[digest(1)]).await;
    service.seal().await;
    let wish = json!({ "proofs": [{ "digest": digest(2) }], "validation": true });
    let validation = service.propose(&office.token, &wish).await.1[0]["validation"]["id"].as_str().unwrap().to_owned();
    let (validator, token) = office.validators[0].clone();
    let decided: Value = service.decide(&token, &validation, "approve").await.json().await.unwrap();
    let decision = decided["decisions"][0]["digest"].as_str().unwrap().to_owned();
    let made = service.post("/v1/webhooks", &office.token, &json!({ "url": "https://a.example/" })).await;
    let webhook = made.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    let tokens = Tokens::from_pem(TOKEN_KEY.as_bytes(), PUBLIC_URL, LIFE).unwrap();
    let manager = service.account("manager", Role::Manager).await;
    service.ledger.add_client("manager", "acme").await.unwrap();
    let (owner, documented) = (office.owner, refusals());
    let core = core_of(&service, |_| {}).await;
    service.ledger.let_administer("manager", "acme", true).await.unwrap();
    let managed = owner.id.0.to_string();
    let table = Table {
        core,
        manager,
        managed,
        service,
        tokens,
        owner,
        validator,
        validation,
        decision,
        webhook,
        documented,
        tried: Default::default(),
    };
    for route in routes::all().chain(routes::core().filter(|route| route.path.starts_with("/core/"))) {
        match route.access {
            Access::Public => {
                for authorization in [None, Some("Bearer x"), Some("Basic x")] {
                    expect("public", route, table.ask(route, authorization).await, sample(route).own).await;
                }
            }
            Access::Client => table.try_client(route, &crowded).await,
            Access::Scope(scope) => table.try_scope(route, scope).await,
        }
        let base = if route.path.starts_with("/core/") { &table.core.base } else { &table.service.base };
        let other = table.service.client.request(Method::TRACE, format!("{base}{}", sample(route).path));
        problem(other.send().await.unwrap(), 405, "method_not_allowed").await;
    }
    let documented: Vec<&String> = table.documented.keys().collect();
    assert_eq!(table.tried.borrow().iter().collect::<Vec<_>>(), documented, "every documented refusal is tried");
}
