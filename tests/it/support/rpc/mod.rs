//! A JSON-RPC endpoint between us and a real node that fails, stalls and lies as it is told, call by call.

mod http;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Reply;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is never answered and never reaches the node.
    Hold,
    /// It is answered a moment later.
    Delay,
    /// It reaches the node; the answer comes when nobody listens any more.
    Late,
    /// The connection closes before the node hears of it.
    DropBefore,
    /// The connection closes after the node has done it.
    DropAfter,
    /// The node does it twice, and the answer comes twice.
    Twice,
    /// 429, before the node hears of it.
    TooMany,
    /// 503, before the node hears of it.
    Unavailable,
    /// The connection is reset before the node hears of it.
    Reset,
    /// Half of the answer.
    Truncated,
    /// No JSON at all.
    Garbage,
    /// The answer to another request.
    WrongId,
    /// `null` instead of what the node says.
    Null,
    /// As of so many blocks ago.
    Stale(u64),
    /// As another chain with the same id has it.
    Foreign,
    /// As a chain with another id has it.
    OtherChain,
    /// A receipt that says the transaction failed.
    Failed,
    /// A receipt in another block.
    Elsewhere,
    /// The newest block is called final.
    Final,
}

impl Fault {
    /// All of them but [`Fault::Final`], which no single endpoint can be convicted of.
    pub const ALL: [Self; 20] = [
        Self::Hold,
        Self::Delay,
        Self::Late,
        Self::DropBefore,
        Self::DropAfter,
        Self::Twice,
        Self::TooMany,
        Self::Unavailable,
        Self::Reset,
        Self::Truncated,
        Self::Garbage,
        Self::WrongId,
        Self::Null,
        Self::Stale(1),
        Self::Stale(7),
        Self::Stale(50),
        Self::Foreign,
        Self::OtherChain,
        Self::Failed,
        Self::Elsewhere,
    ];

    /// Whether it makes a difference to calls of this method.
    pub fn concerns(self, method: &str) -> bool {
        match self {
            Self::Failed | Self::Elsewhere => method == "eth_getTransactionReceipt",
            Self::OtherChain => method == "eth_chainId",
            Self::Stale(_) => !matches!(method, "eth_chainId" | "eth_sendRawTransaction"),
            Self::Final => method == "eth_getBlockByNumber",
            _ => true,
        }
    }
}

/// Which calls a fault befalls.
#[derive(Debug, Clone)]
pub struct Rule {
    pub fault: Fault,
    /// Calls of this method; `None`: of every method.
    pub method: Option<String>,
    /// So many are spared first.
    pub skip: u64,
    /// So many are hit then.
    pub times: u64,
}

impl Rule {
    /// Every call from now on.
    pub fn always(fault: Fault) -> Self {
        Self { fault, method: None, skip: 0, times: u64::MAX }
    }
}

#[derive(Debug, Default)]
struct Inside {
    node: String,
    other: String,
    rules: Vec<Rule>,
    fired: u64,
    heard: BTreeMap<String, u64>,
}

/// See the module. It goes with the test's runtime.
#[derive(Debug)]
pub struct Proxy {
    pub url: String,
    inside: Arc<Mutex<Inside>>,
}

impl Proxy {
    /// Before `node`. `other` is the node of another chain. An answer that comes `late` comes after so long.
    pub async fn before(node: &str, other: &str, late: Duration) -> Self {
        let inside = Inside { node: node.into(), other: other.into(), ..Inside::default() };
        let inside = Arc::new(Mutex::new(inside));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let kept = Arc::clone(&inside);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (client, inside) = (client.clone(), Arc::clone(&kept));
                tokio::spawn(http::serve(stream, move |body| {
                    let call = Call { client: client.clone(), inside: Arc::clone(&inside), late };
                    async move { call.answer(serde_json::from_slice(&body).expect("a request")).await }
                }));
            }
        });
        Self { url, inside }
    }

    /// From now on `rule` holds, and no other.
    pub fn arm(&self, rule: Rule) {
        self.arm_all(vec![rule]);
    }

    /// From now on these hold, and no others. The first that concerns a call decides.
    pub fn arm_all(&self, rules: Vec<Rule>) {
        let mut inside = self.inside.lock().unwrap();
        inside.rules = rules;
        inside.fired = 0;
    }

    /// From now on everything is as the node says.
    pub fn disarm(&self) {
        self.inside.lock().unwrap().rules.clear();
    }

    /// Calls that were hit since it was armed.
    pub fn fired(&self) -> u64 {
        self.inside.lock().unwrap().fired
    }

    /// Calls of each method since it was last asked.
    pub fn heard(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut self.inside.lock().unwrap().heard)
    }

    /// From now on this node is behind it.
    pub fn lead_to(&self, node: &str) {
        self.inside.lock().unwrap().node = node.into();
    }
}

impl Inside {
    /// The fault of this call.
    fn draw(&mut self, method: &str) -> Option<Fault> {
        *self.heard.entry(method.into()).or_default() += 1;
        for rule in &mut self.rules {
            let concerned = rule.method.as_deref().is_none_or(|one| one == method) && rule.fault.concerns(method);
            if !concerned || rule.times == 0 {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times -= 1;
            self.fired += 1;
            return Some(rule.fault);
        }
        None
    }
}

struct Call {
    client: reqwest::Client,
    inside: Arc<Mutex<Inside>>,
    late: Duration,
}

impl Call {
    async fn answer(&self, mut request: Value) -> Reply {
        let method = request["method"].as_str().expect("a method").to_owned();
        let (fault, node, other) = {
            let mut inside = self.inside.lock().unwrap();
            (inside.draw(&method), inside.node.clone(), inside.other.clone())
        };
        let said = |response: Value| Reply::Body(200, response.to_string().into_bytes(), 1);
        let Some(fault) = fault else { return self.forward(&node, &request).await.map_or(Reply::Close, said) };
        if fault == Fault::Final && matches!(request["params"][0].as_str(), Some("safe" | "finalized")) {
            request["params"][0] = json!("latest");
        }
        let repeated = request.clone();
        let response = match fault {
            Fault::Hold => return Reply::Hang,
            Fault::DropBefore => return Reply::Close,
            Fault::Reset => return Reply::Reset,
            Fault::TooMany => return Reply::Body(429, b"slow down".to_vec(), 1),
            Fault::Unavailable => return Reply::Body(503, b"<html>".to_vec(), 1),
            Fault::Stale(blocks) => self.stale(&node, request, blocks).await,
            Fault::Foreign | Fault::OtherChain => self.forward(&other, &request).await,
            _ => self.forward(&node, &request).await,
        };
        let Some(mut response) = response else { return Reply::Close };
        match fault {
            Fault::Delay => tokio::time::sleep(Duration::from_millis(20)).await,
            Fault::Late => tokio::time::sleep(self.late).await,
            Fault::DropAfter => return Reply::Close,
            Fault::Twice => {
                let again = self.forward(&node, &repeated).await;
                return Reply::Body(200, again.unwrap_or(response).to_string().into_bytes(), 2);
            }
            Fault::Truncated => {
                let text = response.to_string();
                return Reply::Body(200, text.as_bytes()[..text.len() / 2].to_vec(), 1);
            }
            Fault::Garbage => return Reply::Body(200, b"<html>it works</html>".to_vec(), 1),
            Fault::WrongId => response["id"] = json!(response["id"].as_u64().unwrap_or(0) + 1),
            Fault::Null => response["result"] = Value::Null,
            Fault::OtherChain => response["result"] = json!("0x1"),
            Fault::Failed if response["result"].is_object() => response["result"]["status"] = json!("0x0"),
            Fault::Elsewhere if response["result"].is_object() => {
                let number = number(&response["result"]["blockNumber"]).saturating_sub(1);
                response["result"]["blockNumber"] = json!(format!("{number:#x}"));
                response["result"]["blockHash"] = json!(format!("0x{}", "11".repeat(32)));
            }
            _ => {}
        }
        said(response)
    }

    async fn forward(&self, node: &str, request: &Value) -> Option<Value> {
        self.client.post(node).json(request).send().await.ok()?.json().await.ok()
    }

    /// What the node would have said so many blocks ago.
    async fn stale(&self, node: &str, mut request: Value, blocks: u64) -> Option<Value> {
        let asked = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": [] });
        let head = number(&self.forward(node, &asked).await?["result"]).saturating_sub(blocks);
        let then = |tag: &str| match tag {
            "latest" => Some(head),
            "safe" => Some(head.saturating_sub(1)),
            "finalized" => Some(head.saturating_sub(2)),
            _ => None,
        };
        for parameter in request["params"].as_array_mut().expect("parameters") {
            if let Some(number) = parameter.as_str().and_then(then) {
                *parameter = json!(format!("{number:#x}"));
            }
        }
        let mut response = self.forward(node, &request).await?;
        let result = &mut response["result"];
        let unknown = match request["method"].as_str().expect("a method") {
            "eth_getTransactionReceipt" => number(&result["blockNumber"]) > head,
            "eth_getBlockByNumber" | "eth_getBlockByHash" => number(&result["number"]) > head,
            "eth_getLogs" if number(&request["params"][0]["fromBlock"]) > head => {
                *result = json!([]);
                false
            }
            _ => false,
        };
        if unknown {
            *result = Value::Null;
        }
        Some(response)
    }
}

/// The number in a member, 0 when there is none.
fn number(value: &Value) -> u64 {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0)
}
