//! What goes into and comes out of the `AnchorRegistry` contract, as bytes.
//!
//! Storage layout and meaning are those of `contracts/src/AnchorRegistry.sol`; nothing here asks a node.

use std::fmt;

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::sol_types::{Panic, Revert, SolCall, SolError, SolInterface};

use super::Record;

alloy::sol! {
    /// The part of the contract that Sceau uses.
    #[derive(Debug, PartialEq, Eq)]
    interface AnchorRegistry {
        event Anchored(bytes32 indexed root, uint64 indexed number, uint64 size, address indexed publisher);

        error ZeroAddress();
        error ZeroFirstNumber();
        error NotOwner(address caller);
        error NotPendingOwner(address caller);
        error NotPublisher(address caller);
        error NotPendingPublisher(address caller);
        error ZeroRoot();
        error SizeTooSmall(uint64 size);
        error RootAlreadyAnchored(bytes32 root, uint64 storedNumber);
        error SizeMismatch(bytes32 root, uint64 storedSize, uint64 size);
        error NumberTaken(uint64 number, uint64 lastNumber);
        error OutOfOrder(uint64 number, uint64 expected);

        function anchor(uint64 number, bytes32 root, uint64 size) external;
        function anchors(bytes32 root) external view returns (uint64 timestamp, uint64 blockNumber, uint64 size, uint64 number);
        function lastNumber() external view returns (uint64);
        function firstNumber() external view returns (uint64);
        function publisher() external view returns (address);
        function pendingPublisher() external view returns (address);
        function owner() external view returns (address);
        function pendingOwner() external view returns (address);

        function proposePublisher(address newPublisher) external;
        function acceptPublisher() external;
        function revokePublisher() external;
        function transferOwnership(address newOwner) external;
        function acceptOwnership() external;
    }
}

/// Calldata of `anchor(number, root, size)`: selector and three words, 100 bytes.
#[must_use]
pub fn anchor_call(number: u64, root: B256, size: u64) -> Bytes {
    AnchorRegistry::anchorCall { number, root, size }.abi_encode().into()
}

/// Storage key of the record of `root`: `keccak256(root ‖ uint256(0))`, the mapping being the contract's slot 0
/// (Solidity documentation, "Layout of State Variables in Storage").
#[must_use]
pub fn slot(root: B256) -> B256 {
    let mut preimage = [0; 64];
    preimage[..32].copy_from_slice(root.as_slice());
    keccak256(preimage)
}

impl Record {
    /// Reads the record's storage word: timestamp in the lowest 64 bits, then block number, size, number. `None` for
    /// the word of an unknown root (the contract never stores a size of 0).
    #[must_use]
    pub fn from_word(word: B256) -> Option<Self> {
        let field = |at: usize| u64::from_be_bytes(word[at..at + 8].try_into().expect("eight bytes of a word"));
        let record = Self { number: field(0), size: field(8), block_number: field(16), timestamp: field(24) };
        (record.size != 0).then_some(record)
    }

    /// Reads what the getter `anchors(root)` returned: `Ok(None)` for an unknown root.
    ///
    /// # Errors
    /// When the bytes are not four ABI-encoded `uint64`: the address holds another contract, or none.
    pub fn from_getter(returned: &[u8]) -> Result<Option<Self>, alloy::sol_types::Error> {
        let anchor = AnchorRegistry::anchorsCall::abi_decode_returns_validate(returned)?;
        let record =
            Self { timestamp: anchor.timestamp, block_number: anchor.blockNumber, size: anchor.size, number: anchor.number };
        Ok((record.size != 0).then_some(record))
    }
}

/// Why the registry (or Solidity itself) refused a call, readable with `Display`.
#[derive(Debug, PartialEq, Eq)]
pub enum RegistryError {
    /// One of the contract's own errors.
    Declared(AnchorRegistry::AnchorRegistryErrors),
    /// `require(…, "text")`, from an address that holds another contract.
    Reason(String),
    /// `Panic(uint256)`: overflow, assertion and the like.
    Panic(U256),
    /// Anything else, the bytes as they came.
    Unknown(Bytes),
}

impl RegistryError {
    /// Reads revert data. Never fails: what is not understood is kept.
    #[must_use]
    pub fn decode(data: &[u8]) -> Self {
        if let Ok(error) = AnchorRegistry::AnchorRegistryErrors::abi_decode_validate(data) {
            Self::Declared(error)
        } else if let Ok(revert) = Revert::abi_decode_validate(data) {
            Self::Reason(revert.reason)
        } else if let Ok(panic) = Panic::abi_decode_validate(data) {
            Self::Panic(panic.code)
        } else {
            Self::Unknown(Bytes::copy_from_slice(data))
        }
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use AnchorRegistry::AnchorRegistryErrors as E;
        let caller = |f: &mut fmt::Formatter<'_>, who: Address, role: &str| write!(f, "{who} is not the {role}");
        match self {
            Self::Declared(error) => match error {
                E::ZeroAddress(_) => f.write_str("owner and publisher must not be the zero address"),
                E::ZeroFirstNumber(_) => f.write_str("batch numbers start at 1"),
                E::NotOwner(e) => caller(f, e.caller, "owner"),
                E::NotPendingOwner(e) => caller(f, e.caller, "proposed owner"),
                E::NotPublisher(e) => caller(f, e.caller, "publisher"),
                E::NotPendingPublisher(e) => caller(f, e.caller, "proposed publisher"),
                E::ZeroRoot(_) => f.write_str("the all-zero root cannot be anchored"),
                E::SizeTooSmall(e) => write!(f, "a tree of {} leaves is no batch", e.size),
                E::RootAlreadyAnchored(e) => write!(f, "root {} is stored as batch {}", e.root, e.storedNumber),
                E::SizeMismatch(e) => {
                    write!(f, "root {} is stored with {} leaves, not {}", e.root, e.storedSize, e.size)
                }
                E::NumberTaken(e) => {
                    write!(f, "batch {} has another root already (newest is {})", e.number, e.lastNumber)
                }
                E::OutOfOrder(e) => write!(f, "batch {} is not next, {} is", e.number, e.expected),
            },
            Self::Reason(text) => write!(f, "reverted: {text}"),
            Self::Panic(code) => write!(f, "panicked with code {code}"),
            Self::Unknown(data) if data.is_empty() => f.write_str("reverted without a reason"),
            Self::Unknown(data) => write!(f, "reverted with {data}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{b256, hex};
    use alloy::sol_types::SolValue;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_anchor_call_is_selector_and_three_words() {
        let root = B256::repeat_byte(0xab);
        let call = anchor_call(7, root, 1002);
        assert_eq!(call.len(), 100);
        assert_eq!(call[..4], keccak256("anchor(uint64,bytes32,uint64)")[..4]);
        assert_eq!(call[4..36], U256::from(7).to_be_bytes::<32>());
        assert_eq!(call[36..68], root[..]);
        assert_eq!(call[68..], U256::from(1002).to_be_bytes::<32>());
    }

    #[test]
    fn the_slot_is_that_of_a_mapping_at_slot_zero() {
        // keccak256 of 64 zero bytes, the well-known slot of key 0 in a mapping at slot 0.
        let known = b256!("ad3228b676f7d3cd4284a5443f17f1962b36e491b30a40b2405849e597ba5fb5");
        assert_eq!(slot(B256::ZERO), known);
        let root = B256::repeat_byte(1);
        assert_eq!(slot(root), keccak256((root, U256::ZERO).abi_encode()));
    }

    #[test]
    fn a_getter_answer_of_another_shape_is_refused() {
        assert!(Record::from_getter(&[]).is_err());
        assert!(Record::from_getter(&[0; 96]).is_err());
        // 2^64 in the first word: no uint64.
        let mut word = [0; 128];
        word[23] = 1;
        assert!(Record::from_getter(&word).is_err());
        assert_eq!(Record::from_getter(&[0; 128]).expect("four zeros"), None);
    }

    /// `name(type,…)` of everything the artifact declares, with ` -> (type,…)` on functions that return something.
    fn declared() -> Vec<(String, String)> {
        let artifact: serde_json::Value =
            serde_json::from_str(include_str!("../../contracts/artifact/AnchorRegistry.json")).expect("the artifact");
        let types = |list: &serde_json::Value| -> String {
            let list = list.as_array().into_iter().flatten();
            list.map(|i| i["type"].as_str().expect("a type")).collect::<Vec<_>>().join(",")
        };
        let items = artifact["abi"].as_array().expect("an ABI").iter().filter(|i| i["name"].is_string());
        items
            .map(|i| {
                let returns = types(&i["outputs"]);
                let returns = if returns.is_empty() { returns } else { format!(" -> ({returns})") };
                let name = i["name"].as_str().expect("a name");
                (i["type"].as_str().expect("a kind").into(), format!("{name}({}){returns}", types(&i["inputs"])))
            })
            .collect()
    }

    #[test]
    fn the_interface_is_that_of_the_artifact() {
        use alloy::sol_types::SolEvent;
        let declared = declared();
        let has = |kind: &str, text: &str| declared.iter().any(|(k, t)| k == kind && t == text);
        assert!(has("event", AnchorRegistry::Anchored::SIGNATURE));
        assert!(has("function", AnchorRegistry::anchorCall::SIGNATURE));
        for (call, returns) in [
            (AnchorRegistry::anchorsCall::SIGNATURE, "uint64,uint64,uint64,uint64"),
            (AnchorRegistry::lastNumberCall::SIGNATURE, "uint64"),
            (AnchorRegistry::firstNumberCall::SIGNATURE, "uint64"),
            (AnchorRegistry::publisherCall::SIGNATURE, "address"),
            (AnchorRegistry::pendingPublisherCall::SIGNATURE, "address"),
            (AnchorRegistry::ownerCall::SIGNATURE, "address"),
            (AnchorRegistry::pendingOwnerCall::SIGNATURE, "address"),
        ] {
            assert!(has("function", &format!("{call} -> ({returns})")), "{call}");
        }
        for call in [
            AnchorRegistry::proposePublisherCall::SIGNATURE,
            AnchorRegistry::acceptPublisherCall::SIGNATURE,
            AnchorRegistry::revokePublisherCall::SIGNATURE,
            AnchorRegistry::transferOwnershipCall::SIGNATURE,
            AnchorRegistry::acceptOwnershipCall::SIGNATURE,
        ] {
            assert!(has("function", call), "{call}");
        }
        // Every error the contract declares is one that is understood here.
        for (_, text) in declared.iter().filter(|(kind, _)| kind == "error") {
            let selector = keccak256(text)[..4].try_into().expect("four bytes");
            assert!(AnchorRegistry::AnchorRegistryErrors::valid_selector(selector), "{text}");
        }
    }

    proptest! {
        #[test]
        fn word_and_getter_agree(timestamp: u64, block_number: u64, size: u64, number: u64) {
            let record = Record { timestamp, block_number, size, number };
            let expected = (size != 0).then_some(record);
            let word = U256::from_limbs([timestamp, block_number, size, number]);
            prop_assert_eq!(Record::from_word(word.into()), expected);
            let returned = (timestamp, block_number, size, number).abi_encode();
            prop_assert_eq!(Record::from_getter(&returned).expect("four words"), expected);
        }

        #[test]
        fn any_revert_data_can_be_shown(data: Vec<u8>) {
            prop_assert!(!RegistryError::decode(&data).to_string().is_empty());
        }
    }

    #[test]
    fn reverts_are_told_in_words() {
        let taken = AnchorRegistry::NumberTaken { number: 4, lastNumber: 9 }.abi_encode();
        assert_eq!(RegistryError::decode(&taken).to_string(), "batch 4 has another root already (newest is 9)");
        let order = AnchorRegistry::OutOfOrder { number: 11, expected: 10 }.abi_encode();
        assert_eq!(RegistryError::decode(&order).to_string(), "batch 11 is not next, 10 is");
        let reason = Revert::from("no").abi_encode();
        assert_eq!(RegistryError::decode(&reason).to_string(), "reverted: no");
        assert_eq!(RegistryError::decode(&[]).to_string(), "reverted without a reason");
        assert_eq!(RegistryError::decode(&hex!("deadbeef")).to_string(), "reverted with 0xdeadbeef");
        let overflow = Panic { code: U256::from(0x11) }.abi_encode();
        assert_eq!(RegistryError::decode(&overflow).to_string(), "panicked with code 17");
    }
}
