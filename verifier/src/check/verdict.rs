//! Verdicts and the stable codes behind them (SPEC.md §5).

use std::fmt;

use serde::{Serialize, Serializer};

/// What a verifier answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The document existed before the block, as the receipt says.
    Verified,
    /// The receipt does not prove what it says, or not under the auditor's own settings.
    Invalid,
    /// Nothing is wrong, but the anchor is not there yet or not final.
    NotYet,
    /// The verifier lacks something from outside: a trusted block hash, or an answer of the node.
    CannotTell,
}

impl Verdict {
    /// Exit status of `sceau-verify`. 2 is kept for usage.
    #[must_use]
    pub const fn exit_status(self) -> u8 {
        match self {
            Self::Verified => 0,
            Self::Invalid => 1,
            Self::NotYet => 3,
            Self::CannotTell => 4,
        }
    }

    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Invalid => "invalid",
            Self::NotYet => "not_yet",
            Self::CannotTell => "cannot_tell",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $step:literal, $verdict:ident;)*) => {
        /// Why a verdict was given. Names, steps and verdicts are stable: scripts may depend on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in the order of the steps.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The step of SPEC.md §4 that gives this code; 0 for `ok`.
            #[must_use]
            pub const fn step(self) -> u8 {
                match self { $(Self::$name => $step,)* }
            }

            /// The verdict that goes with it.
            #[must_use]
            pub const fn verdict(self) -> Verdict {
                match self { $(Self::$name => Verdict::$verdict,)* }
            }
        }
    };
}

codes! {
    /// Every step passed.
    Ok = "ok", 0, Verified;
    /// Not a `sceau-receipt/1` in canonical bytes.
    ReceiptMalformed = "receipt_malformed", 1, Invalid;
    /// The receipt is about another document.
    DocumentMismatch = "document_mismatch", 2, Invalid;
    /// The batch header is not canonical.
    BatchHeaderMalformed = "batch_header_malformed", 3, Invalid;
    /// The batch header names another number or count.
    BatchHeaderMismatch = "batch_header_mismatch", 4, Invalid;
    /// The entry's path does not lead to the root.
    EntryNotIncluded = "entry_not_included", 5, Invalid;
    /// The header's path does not lead to the root.
    BatchHeaderNotIncluded = "batch_header_not_included", 6, Invalid;
    /// Sealed, but not anchored anywhere yet.
    NoAnchor = "no_anchor", 7, NotYet;
    /// The evidence's block header has another hash than the anchor says.
    BlockHeaderHash = "block_header_hash", 8, Invalid;
    /// The block header cannot be read.
    BlockHeaderMalformed = "block_header_malformed", 9, Invalid;
    /// The block header has another number or time than the anchor says.
    BlockHeaderMismatch = "block_header_mismatch", 10, Invalid;
    /// The registry's account is not proven in the block's state.
    AccountNotProven = "account_not_proven", 11, Invalid;
    /// The registry's record of the root is not proven in its storage.
    RecordNotProven = "record_not_proven", 12, Invalid;
    /// The proven record says another time, block, size or batch number.
    RecordMismatch = "record_mismatch", 13, Invalid;
    /// The evidence's transaction has another hash than the anchor says.
    TransactionHash = "transaction_hash", 14, Invalid;
    /// The transaction is not proven in the block.
    TransactionNotProven = "transaction_not_proven", 15, Invalid;
    /// The transaction is not a strict EIP-1559 transaction.
    TransactionMalformed = "transaction_malformed", 16, Invalid;
    /// The transaction is for another chain, contract, value or call.
    TransactionMismatch = "transaction_mismatch", 17, Invalid;
    /// No anchor on the chain that the auditor named.
    ChainMismatch = "chain_mismatch", 18, Invalid;
    /// No anchor in the registry that the auditor named.
    RegistryMismatch = "registry_mismatch", 18, Invalid;
    /// Anchored, but without evidence yet: only a node can tell.
    NoEvidence = "no_evidence", 19, NotYet;
    /// Consistent, but the auditor named no block to compare with.
    NoTrustedBlock = "no_trusted_block", 19, CannotTell;
    /// The anchor's block is not one that the auditor named.
    BlockNotTrusted = "block_not_trusted", 19, Invalid;
    /// No answer from the node.
    NodeUnreachable = "node_unreachable", 20, CannotTell;
    /// An answer from the node that is an error or makes no sense.
    NodeBadAnswer = "node_bad_answer", 20, CannotTell;
    /// The node follows another chain than the receipt's anchors.
    NodeOnOtherChain = "node_on_other_chain", 20, CannotTell;
    /// The node does not know a block of that number yet.
    NodeBehind = "node_behind", 21, CannotTell;
    /// The block is not final yet.
    NotFinal = "not_final", 21, NotYet;
    /// The node has another block at that number, with another hash or time.
    BlockNotOnChain = "block_not_on_chain", 22, Invalid;
    /// The registry on chain has no record of the root.
    RecordAbsent = "record_absent", 23, Invalid;
    /// The registry on chain recorded another time, block, size or batch number.
    RecordDiffers = "record_differs", 23, Invalid;
    /// The node does not know the transaction, and no evidence proves it.
    TransactionUnknown = "transaction_unknown", 24, CannotTell;
    /// The transaction failed on chain.
    TransactionFailed = "transaction_failed", 24, Invalid;
    /// The transaction on chain is in another block, to another contract, or another call.
    TransactionDiffers = "transaction_differs", 24, Invalid;
    /// The statement of a decision is not a `sceau-decision/1` in canonical bytes.
    DecisionMalformed = "decision_malformed", 25, Invalid;
    /// A decision is no approval of this document, or its receipt is not that of its statement.
    DecisionMismatch = "decision_mismatch", 26, Invalid;
    /// The receipt of a decision is inconsistent.
    DecisionReceiptInvalid = "decision_receipt_invalid", 27, Invalid;
    /// A decision is anchored nowhere where it counts.
    DecisionNotProven = "decision_not_proven", 28, Invalid;
    /// A decision is not anchored yet, or not final.
    DecisionNotFinal = "decision_not_final", 28, NotYet;
    /// For a decision, the verifier lacks something from outside that it had for the document.
    DecisionNotChecked = "decision_not_checked", 28, CannotTell;
    /// Neither a promise nor an answer that holds one.
    PromiseMalformed = "promise_malformed", 29, Invalid;
    /// A signed text of another kind, or by another algorithm.
    PromiseType = "promise_type", 30, Invalid;
    /// The promise names a key that the auditor does not have.
    PromiseKeyUnknown = "promise_key_unknown", 31, CannotTell;
    /// The promise's signature does not hold.
    PromiseSignature = "promise_signature", 32, Invalid;
    /// What is signed is not a `sceau-promise/1`.
    PromisePayload = "promise_payload", 33, Invalid;
    /// The answer's accepted items are not those that were signed.
    PromiseRecords = "promise_records", 34, Invalid;
    /// The promise is about several digests, and the answer that names them was not given.
    PromiseRecordsMissing = "promise_records_missing", 35, CannotTell;
    /// The promise is not about this document.
    PromiseOtherDocument = "promise_other_document", 35, Invalid;
    /// The receipt is of another entry than the promise.
    PromiseOtherEntry = "promise_other_entry", 36, Invalid;
    /// The receipt shows another batch than was promised, or a block after the promised time.
    PromiseBroken = "promise_broken", 37, Invalid;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A step that did not pass, with a sentence for people. Only the code is stable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stable code.
    pub code: Code,
    /// What exactly was wrong.
    pub detail: String,
}

impl Failure {
    /// A failure with its detail, cut at 300 characters. Details may quote a receipt or a node, so characters that
    /// steer a terminal are replaced.
    #[must_use]
    pub fn new(code: Code, detail: &str) -> Self {
        let detail = detail.chars().take(300).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        Self { code, detail }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Failure {}
