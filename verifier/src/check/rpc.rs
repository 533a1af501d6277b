//! The steps of SPEC.md §4 that ask the auditor's own node (20 to 24, and 28 with them). What a node fails to say is never *invalid*.

use std::time::Duration;

use serde_json::{Value, json};

use super::decisions;
use super::verdict::{Code, Failure};
use super::verify::{self, AnchorReport, Report, Trust};
use crate::Digest;
use crate::evm::evidence::{describe, expected_record};
use crate::evm::registry::{self, Record, Statement};
use crate::evm::{Address, Bytes, Hash32};
use crate::receipt::{Anchor, Receipt};

/// A node is given this long for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// No answer that is needed here comes near this many bytes.
const MAX_ANSWER: u64 = 4 << 20;

/// When a block counts as final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finality {
    /// The chain's own tag `finalized`.
    #[default]
    Tag,
    /// So many blocks, the block itself included, for chains without the tag.
    Confirmations(u64),
}

/// A node's JSON-RPC endpoint. Its address may hold a key and never appears in messages.
pub struct Node {
    agent: ureq::Agent,
    url: String,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}

/// What a node says about a block.
struct Block {
    number: u64,
    hash: Hash32,
    timestamp: u64,
}

impl Node {
    /// An endpoint over HTTP. Nothing is sent yet.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let config =
            ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).max_redirects(0).build();
        Self { agent: config.into(), url: url.into() }
    }

    fn call(&self, method: &str, params: &Value) -> Result<Value, Failure> {
        let unreachable = |error: ureq::Error| {
            // Only the kind of failure: the full text may repeat the address.
            let kind = match error {
                ureq::Error::Timeout(_) => "no answer in time",
                ureq::Error::HostNotFound => "host not found",
                ureq::Error::BodyExceedsLimit(_) => return bad(method, "an answer of more than 4 MiB"),
                ureq::Error::Tls(_) | ureq::Error::Rustls(_) => "no secure connection",
                _ => "no connection",
            };
            Failure::new(Code::NodeUnreachable, &format!("{method}: {kind}"))
        };
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let mut response = self
            .agent
            .post(&self.url)
            .header("content-type", "application/json")
            .send(request.as_bytes())
            .map_err(unreachable)?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(unreachable)?;
        let answer: Value =
            serde_json::from_slice(&body).map_err(|_| bad(method, &format!("HTTP {}, no JSON", status.as_u16())))?;
        if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
            let message = error.get("message").and_then(Value::as_str).unwrap_or("an error without a message");
            return Err(bad(method, &format!("the node says: {message}")));
        }
        answer.get("result").cloned().ok_or_else(|| bad(method, "neither a result nor an error"))
    }

    fn chain_id(&self) -> Result<u64, Failure> {
        quantity("eth_chainId", &self.call("eth_chainId", &json!([]))?)
    }

    /// The block at a number or tag; `None` when the node does not know one.
    fn block(&self, at: &str) -> Result<Option<Block>, Failure> {
        let method = "eth_getBlockByNumber";
        let answer = self.call(method, &json!([at, false]))?;
        if answer.is_null() {
            return Ok(None);
        }
        let hash = text(method, &answer["hash"])?.parse().map_err(|_| bad(method, "no block hash"))?;
        let (number, timestamp) = (quantity(method, &answer["number"])?, quantity(method, &answer["timestamp"])?);
        Ok(Some(Block { number, hash, timestamp }))
    }

    /// The registry's record of a root; `None` without one, or without a contract.
    fn record(&self, registry: &Address, root: &Digest) -> Result<Option<Record>, Failure> {
        let method = "eth_call";
        let call = Bytes(registry::anchors_call(root).to_vec());
        let answer = self.call(method, &json!([{"to": registry, "data": call}, "latest"]))?;
        let answer: Bytes = text(method, &answer)?.parse().map_err(|_| bad(method, "not hex"))?;
        if answer.0.is_empty() {
            return Ok(None);
        }
        let (words, []) = answer.0.as_chunks::<32>() else { return Err(bad(method, "not a record")) };
        let &[timestamp, block_number, size, number] = words else { return Err(bad(method, "not a record")) };
        let part = |word: [u8; 32]| {
            let (high, low) = word.split_at(24);
            if high.iter().any(|byte| *byte != 0) {
                return Err(bad(method, "not a record"));
            }
            Ok(low.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
        };
        let record =
            Record { timestamp: part(timestamp)?, block_number: part(block_number)?, size: part(size)?, number: part(number)? };
        Ok((record.timestamp != 0).then_some(record))
    }
}

fn bad(method: &str, what: &str) -> Failure {
    Failure::new(Code::NodeBadAnswer, &format!("{method}: {what}"))
}

/// Nodes may print hex in mixed case.
fn text(method: &str, value: &Value) -> Result<String, Failure> {
    value.as_str().map(str::to_ascii_lowercase).ok_or_else(|| bad(method, "a text is missing in the answer"))
}

fn quantity(method: &str, value: &Value) -> Result<u64, Failure> {
    let text = text(method, value)?;
    let digits = text.strip_prefix("0x").filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or_else(|| bad(method, "not a number"))
}

/// All steps but the first, with a node. `trust.block_hashes`, when not empty, must hold the block as well.
#[must_use]
pub fn verify(document: &Digest, receipt: &Receipt, trust: &Trust, node: &Node, finality: Finality) -> Report {
    let reports = match verify::assess(document, receipt, trust, None) {
        Ok(reports) => reports,
        Err(failure) => return failure.into(),
    };
    let mut chain = None;
    let mut ask = |receipt: &Receipt, mut reports: Vec<AnchorReport>| {
        for (anchor, report) in receipt.anchors.iter().zip(&mut reports) {
            if !matches!(report.code, Code::Ok | Code::NoEvidence | Code::NoTrustedBlock) {
                continue;
            }
            let chain = chain.get_or_insert_with(|| node.chain_id());
            report.set(check_anchor(receipt, anchor, trust, node, finality, chain.as_ref()));
        }
        verify::conclude(reports)
    };
    let report = ask(receipt, reports);
    decisions::conclude(report, receipt, |nested| ask(nested, verify::trusted(nested, trust)))
}

fn check_anchor(
    receipt: &Receipt,
    anchor: &Anchor,
    trust: &Trust,
    node: &Node,
    finality: Finality,
    chain: Result<&u64, &Failure>,
) -> Result<(), Failure> {
    if !trust.block_hashes.is_empty() && !trust.block_hashes.contains(&anchor.block_hash) {
        return Err(Failure::new(Code::BlockNotTrusted, "the anchor's block is not one of those you trust"));
    }
    let chain = *chain.map_err(Clone::clone)?;
    if chain != anchor.chain.id() {
        let detail = format!("anchored on {}, the node is on eip155:{chain}", anchor.chain);
        return Err(Failure::new(Code::NodeOnOtherChain, &detail));
    }
    let statement = receipt.statement();
    check_block(anchor, node, finality)?;
    check_record(anchor, node, &statement)?;
    check_transaction(anchor, node, &statement)
}

/// Steps 21 and 22.
fn check_block(anchor: &Anchor, node: &Node, finality: Finality) -> Result<(), Failure> {
    // Finality first: a block at or below a final one cannot be exchanged between the two questions.
    let (tag, needed) = match finality {
        Finality::Tag => ("finalized", 0),
        Finality::Confirmations(blocks) => ("latest", blocks.saturating_sub(1)),
    };
    let head = match node.block(tag)? {
        Some(head) => head.number,
        None if finality == Finality::Tag => return Err(bad("eth_getBlockByNumber", "no finalized block")),
        None => return Err(bad("eth_getBlockByNumber", "no latest block")),
    };
    let Some(block) = node.block(&format!("{:#x}", anchor.block_number))? else {
        let detail = format!("the node does not know block {} yet", anchor.block_number);
        return Err(Failure::new(Code::NodeBehind, &detail));
    };
    if block.number != anchor.block_number {
        return Err(bad("eth_getBlockByNumber", "another block than was asked for"));
    }
    if anchor.block_number.saturating_add(needed) > head {
        let detail = format!("block {} is not final yet: the node is at {tag} block {head}", anchor.block_number);
        return Err(Failure::new(Code::NotFinal, &detail));
    }
    if (block.hash, block.timestamp) != (anchor.block_hash, anchor.block_time) {
        let detail = format!("block {} on chain is {} of time {}", block.number, block.hash, block.timestamp);
        return Err(Failure::new(Code::BlockNotOnChain, &detail));
    }
    Ok(())
}

/// Step 23.
fn check_record(anchor: &Anchor, node: &Node, statement: &Statement) -> Result<(), Failure> {
    match node.record(&anchor.registry, &statement.root)? {
        None => Err(Failure::new(Code::RecordAbsent, "the registry on chain does not know this root")),
        Some(record) if record != expected_record(anchor, statement) => {
            Err(Failure::new(Code::RecordDiffers, &describe(&record)))
        }
        Some(_) => Ok(()),
    }
}

/// Step 24.
fn check_transaction(anchor: &Anchor, node: &Node, statement: &Statement) -> Result<(), Failure> {
    let (receipt_method, method) = ("eth_getTransactionReceipt", "eth_getTransactionByHash");
    let receipt = node.call(receipt_method, &json!([anchor.tx_hash]))?;
    let transaction = if receipt.is_null() { Value::Null } else { node.call(method, &json!([anchor.tx_hash]))? };
    if transaction.is_null() {
        // Nodes forget old transactions; steps 14 to 17 have proved this one where there is evidence.
        return match anchor.evidence {
            Some(_) => Ok(()),
            None => Err(Failure::new(Code::TransactionUnknown, "the node does not know the transaction")),
        };
    }
    if quantity(receipt_method, &receipt["status"])? != 1 {
        return Err(Failure::new(Code::TransactionFailed, "the transaction failed on chain"));
    }
    let differs = |what: &str| Err(Failure::new(Code::TransactionDiffers, what));
    if text(receipt_method, &receipt["blockHash"])? != anchor.block_hash.to_string() {
        return differs("the transaction is in another block");
    }
    // A contract creation has no recipient: `to` is null then.
    if receipt["to"].as_str().map(str::to_ascii_lowercase) != Some(anchor.registry.to_string()) {
        return differs("the transaction calls another contract");
    }
    if text(method, &transaction["input"])? != Bytes(registry::anchor_call(statement).to_vec()).to_string() {
        return differs("the transaction does not anchor this batch");
    }
    Ok(())
}
