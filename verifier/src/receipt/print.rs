//! The one canonical spelling of a receipt (SPEC.md §2), written or compared. It is that of the types' `Serialize`: the tests hold the
//! two together. Here nothing is escaped that cannot need it, which is nearly everything.

use super::{Anchor, Batch, Decision, Document, EntryPosition, Receipt, TreePosition};
use crate::Digest;
use crate::evm::Bytes;
use crate::evm::evidence::Evidence;
use crate::hex;

/// Where text goes.
pub(super) trait Sink {
    /// This very text.
    fn text(&mut self, text: &[u8]);
    /// The lower-case hex digits of these bytes.
    fn hex(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn text(&mut self, text: &[u8]) {
        self.extend_from_slice(text);
    }

    fn hex(&mut self, bytes: &[u8]) {
        hex::append(self, bytes);
    }
}

/// Takes nothing but these bytes, in this order: prints are compared without being kept.
pub(super) struct Expected<'a>(Option<&'a [u8]>);

impl<'a> Expected<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(Some(bytes))
    }

    /// Whether these bytes came, and no others.
    pub fn met(&self) -> bool {
        self.0.is_some_and(<[u8]>::is_empty)
    }
}

impl Sink for Expected<'_> {
    fn text(&mut self, text: &[u8]) {
        self.0 = self.0.and_then(|rest| rest.strip_prefix(text));
    }

    fn hex(&mut self, bytes: &[u8]) {
        let split = self.0.and_then(|rest| rest.split_at_checked(2 * bytes.len()));
        self.0 = split.filter(|(digits, _)| hex::spells(digits, bytes)).map(|(_, rest)| rest);
    }
}

pub(super) fn receipt(out: &mut impl Sink, receipt: &Receipt) {
    head(out, &receipt.document, &receipt.entry, &receipt.tree);
    tail(out, &receipt.batch, &receipt.anchors, &receipt.decisions);
}

/// A receipt up to its batch.
pub(super) fn head(out: &mut impl Sink, document: &Document, entry: &EntryPosition, tree: &TreePosition) {
    out.text(br#"{"format":"sceau-receipt/1","document":{"digest":""#);
    out.hex(document.digest.as_bytes());
    out.text(br#""},"entry":{"salt":""#);
    out.hex(entry.salt.as_bytes());
    out.text(br#"","index":"#);
    integer(out, entry.index);
    out.text(br#"},"tree":{"size":"#);
    integer(out, tree.size);
    out.text(br#","root":""#);
    out.hex(tree.root.as_bytes());
    out.text(br#"","path":["#);
    path(out, &tree.path);
    out.text(b"]}");
}

/// A receipt from the comma before its batch on.
pub(super) fn tail(out: &mut impl Sink, batch: &Batch, anchors: &[Anchor], decisions: &[Decision]) {
    out.text(br#","batch":{"number":"#);
    integer(out, batch.number);
    out.text(br#","header":"#);
    string(out, &batch.header);
    out.text(br#","path":["#);
    path(out, &batch.path);
    out.text(br#"]},"anchors":["#);
    list(out, anchors, |out, anchor| self::anchor(out, anchor));
    out.text(b"]");
    if !decisions.is_empty() {
        out.text(br#","decisions":["#);
        list(out, decisions, |out, decision| {
            out.text(br#"{"statement":"#);
            string(out, &decision.statement);
            out.text(br#","receipt":"#);
            receipt(out, &decision.receipt);
            out.text(b"}");
        });
        out.text(b"]");
    }
    out.text(b"}");
}

fn anchor(out: &mut impl Sink, anchor: &Anchor) {
    out.text(br#"{"chain":"eip155:"#);
    integer(out, anchor.chain.id());
    out.text(br#"","registry":"0x"#);
    out.hex(anchor.registry.as_bytes());
    out.text(br#"","tx_hash":"0x"#);
    out.hex(anchor.tx_hash.as_bytes());
    out.text(br#"","block_number":"#);
    integer(out, anchor.block_number);
    out.text(br#","block_hash":"0x"#);
    out.hex(anchor.block_hash.as_bytes());
    out.text(br#"","block_time":"#);
    integer(out, anchor.block_time);
    if let Some(evidence) = &anchor.evidence {
        out.text(br#","evidence":"#);
        self::evidence(out, evidence);
    }
    out.text(b"}");
}

fn evidence(out: &mut impl Sink, evidence: &Evidence) {
    out.text(br#"{"header":"#);
    bytes(out, &evidence.header);
    out.text(br#","account_proof":["#);
    list(out, &evidence.account_proof, bytes);
    out.text(br#"],"storage_proof":["#);
    list(out, &evidence.storage_proof, bytes);
    out.text(br#"],"transaction":{"index":"#);
    integer(out, evidence.transaction.index);
    out.text(br#","raw":"#);
    bytes(out, &evidence.transaction.raw);
    out.text(br#","proof":["#);
    list(out, &evidence.transaction.proof, bytes);
    out.text(b"]}}");
}

fn list<S: Sink, T>(out: &mut S, items: &[T], each: impl Fn(&mut S, &T)) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.text(b",");
        }
        each(out, item);
    }
}

fn path(out: &mut impl Sink, path: &[Digest]) {
    list(out, path, |out, digest| {
        out.text(b"\"");
        out.hex(digest.as_bytes());
        out.text(b"\"");
    });
}

fn bytes(out: &mut impl Sink, bytes: &Bytes) {
    out.text(b"\"0x");
    out.hex(bytes.as_ref());
    out.text(b"\"");
}

fn integer(out: &mut impl Sink, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return out.text(&digits[at..]);
        }
    }
}

/// Text that may need escaping.
fn string(out: &mut impl Sink, text: &str) {
    // A text and a Vec: printing cannot fail.
    out.text(&serde_json::to_vec(text).expect("a text is JSON"));
}
