//! What nodes say about a raw transaction, sorted once.

use crate::chain::{ChainError, Sent};

/// Phrases, in the order they are tried. A phrase counts when it starts a word: "unknown transaction type" must not
/// read as "known transaction". Beside each: who says it.
const TABLE: &[(&str, Kind)] = &[
    // The node has these very bytes.
    ("already known", Kind::Known),                           // geth, erigon, reth, bor
    ("known transaction", Kind::Known),                       // besu, old geth, zkSync
    ("transaction already imported", Kind::Known),            // anvil
    ("existing tx with same hash", Kind::Known),              // erigon
    ("alreadyknown", Kind::Known),                            // nethermind
    ("already in mempool", Kind::Known),                      // tendermint-based chains
    ("with the same hash was already imported", Kind::Known), // parity
    ("pool(alreadyimported)", Kind::Known),                   // frontier (Moonbeam)
    // The nonce is used.
    ("nonce too low", Kind::Nonce),               // geth, erigon, reth, besu, anvil
    ("nonce is too low", Kind::Nonce),            // parity
    ("oldnonce", Kind::Nonce),                    // nethermind
    ("below sender account nonce", Kind::Nonce),  // besu, as a reason
    ("nonce has already been used", Kind::Nonce), // gateways
    ("pool(stale)", Kind::Nonce),                 // frontier
    // The signer cannot pay.
    ("insufficient funds", Kind::Funds),                   // geth, erigon, reth, anvil
    ("insufficientfunds", Kind::Funds),                    // nethermind
    ("insufficient balance", Kind::Funds),                 // erigon, parity
    ("upfront cost exceeds account balance", Kind::Funds), // besu
    ("not enough funds", Kind::Funds),                     // arbitrum
    ("lack of funds", Kind::Funds),                        // revm
    // Somebody holds the nonce with a better offer, or the offer is below what the node takes.
    ("underpriced", Kind::Price),                                  // geth, erigon, reth, besu, anvil
    ("could not replace existing tx", Kind::Price),                // erigon
    ("future transaction tries to replace pending", Kind::Price),  // geth
    ("there is another transaction with same nonce", Kind::Price), // parity
    ("ownnoncealreadyused", Kind::Price),                          // nethermind
    ("feetoolow", Kind::Price),                                    // nethermind, with …ToCompete
    ("fee too low", Kind::Price),                                  // erigon
    ("replacementnotallowed", Kind::Price),                        // nethermind
    ("max fee per gas less than block base fee", Kind::Price),     // geth, reth, anvil
    ("fee cap less than block base fee", Kind::Price),             // old geth
    ("gas price too low", Kind::Price),                            // arbitrum, metis
    ("gas price is too low", Kind::Price),                         // parity
    ("gas price below", Kind::Price),                              // besu: minimum, current base fee
    ("gasprice is less than", Kind::Price),                        // celo
    ("below configured minimum", Kind::Price),                     // besu: priority fee
    // A full pool lets in who pays more than somebody inside.
    ("txpool is full", Kind::Price),                     // geth, reth, celo
    ("too many transactions in the queue", Kind::Price), // parity
];

#[derive(Debug, Clone, Copy)]
enum Kind {
    Known,
    Nonce,
    Funds,
    Price,
}

/// Words of a node that failed, not of a transaction that is wrong: nobody knows whether it was taken.
const TROUBLE: &[&str] =
    &["internal error", "timed out", "timeout", "syncing", "not synced", "unavailable", "connection", "header not found"];

/// Sorts the error of an `eth_sendRawTransaction`. What is no statement about the transaction stays an error.
pub(super) fn sort(error: ChainError) -> Result<Sent, ChainError> {
    let ChainError::Refused { code, message, .. } = &error else {
        return Err(error);
    };
    let text = message.to_lowercase();
    if let Some((_, kind)) = TABLE.iter().find(|(phrase, _)| says(&text, phrase)) {
        return Ok(match kind {
            Kind::Known => Sent::AlreadyKnown,
            Kind::Nonce => Sent::NonceTooLow,
            Kind::Funds => Sent::InsufficientFunds,
            Kind::Price => Sent::Underpriced,
        });
    }
    // Parse error, invalid request, no such method, internal error (JSON-RPC 2.0 §5.1): about the call, not the
    // transaction. −32602 (invalid params) is not among them: that is a transaction the node cannot decode.
    if matches!(code, -32700 | -32600 | -32601 | -32603) || TROUBLE.iter().any(|w| text.contains(w)) {
        return Err(error);
    }
    Ok(Sent::Rejected(message.clone()))
}

fn says(text: &str, phrase: &str) -> bool {
    text.match_indices(phrase).any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(code: i64, message: &str) -> Result<Sent, ChainError> {
        sort(ChainError::Refused { method: "eth_sendRawTransaction", code, message: message.into() })
    }

    #[test]
    fn texts_of_the_clients_are_sorted() {
        use Sent::{AlreadyKnown, InsufficientFunds, NonceTooLow, Underpriced};
        let said = [
            // geth, bor and what descends from them
            ("already known", AlreadyKnown),
            ("nonce too low", NonceTooLow),
            ("nonce too low: next nonce 5, tx nonce 4", NonceTooLow),
            ("replacement transaction underpriced", Underpriced),
            ("transaction underpriced: gas tip cap 0, minimum needed 1", Underpriced),
            ("max fee per gas less than block base fee: address 0x00, maxFeePerGas: 1, baseFee: 7", Underpriced),
            ("insufficient funds for gas * price + value: balance 0, tx cost 1, overshot 1", InsufficientFunds),
            // erigon
            ("ALREADY_EXISTS: already known", AlreadyKnown),
            ("INTERNAL_ERROR: existing tx with same hash", AlreadyKnown),
            ("INTERNAL_ERROR: nonce too low", NonceTooLow),
            ("could not replace existing tx", Underpriced),
            ("fee too low", Underpriced),
            // nethermind
            ("AlreadyKnown", AlreadyKnown),
            ("OldNonce, Current nonce: 7, nonce of rejected tx: 6", NonceTooLow),
            ("FeeTooLow, MaxFeePerGas too low. MaxFeePerGas: 1, BaseFee: 7", Underpriced),
            ("FeeTooLowToCompete", Underpriced),
            ("InsufficientFunds, Account balance: 0, cumulative cost: 1", InsufficientFunds),
            // besu
            ("Known transaction", AlreadyKnown),
            ("Nonce too low", NonceTooLow),
            ("transaction nonce 3 below sender account nonce 5", NonceTooLow),
            ("Replacement transaction underpriced", Underpriced),
            ("Gas price below configured minimum gas price", Underpriced),
            ("Gas price below current base fee", Underpriced),
            ("Upfront cost exceeds account balance", InsufficientFunds),
            // reth
            ("insufficient funds for gas * price + value: have 0 want 1", InsufficientFunds),
            ("txpool is full", Underpriced),
            // anvil
            ("transaction already imported", AlreadyKnown),
            ("Insufficient funds for gas * price + value", InsufficientFunds),
        ];
        for (message, expected) in said {
            assert_eq!(sorted(-32000, message).expect(message), expected, "{message}");
        }
    }

    #[test]
    fn the_rest_is_rejected_with_the_nodes_words() {
        for message in [
            "invalid chain id for signer",
            "unknown transaction type",
            "nonce too high",
            "intrinsic gas too low",
            "exceeds block gas limit",
            "tx fee (1.20 ether) exceeds the configured cap (1.00 ether)",
        ] {
            assert_eq!(sorted(-32000, message).expect(message), Sent::Rejected(message.into()));
        }
        assert!(matches!(sorted(-32602, "rlp: expected List"), Ok(Sent::Rejected(_))));
    }

    #[test]
    fn trouble_of_the_node_says_nothing_about_the_transaction() {
        for (code, message) in [
            (-32603, "Internal error"),
            (-32601, "the method eth_sendRawTransaction does not exist"),
            (-32002, "request timed out"),
            (-32000, "TxPool is syncing"),
        ] {
            assert!(sorted(code, message).is_err(), "{message}");
        }
        assert!(sort(ChainError::Unreachable("x".into())).is_err());
    }
}
