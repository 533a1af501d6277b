// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title AnchorRegistry
/// @notice Append-only register of Merkle batch roots. Batch number n is taken only after n - 1, once; a stored root is
/// never altered or removed by anybody. The contract has no proxy, no delegatecall, no self-destruct and holds no funds.
/// @dev Storage layout, binding for everyone who reads it with eth_getProof (bits counted from the lowest):
///
///   slot 0  mapping(bytes32 root => Anchor); record of a root at keccak256(root ‖ uint256(0)), one word:
///           timestamp 0..63 | blockNumber 64..127 | size 128..191 | number 192..255
///   slot 1  publisher 0..159 | lastNumber 160..223
///   slot 2  owner 0..159 | firstNumber 160..223
///   slot 3  pendingOwner 0..159
///   slot 4  pendingPublisher 0..159
///
/// Nothing is immutable in Solidity's sense (written into the code), so every deployment has the same runtime code and
/// one code hash: an account proof's codeHash can be compared with the published artifact without masking anything.
contract AnchorRegistry {
    /// @notice What is known of one root; all four fields are non-zero once stored.
    /// @dev The order fixes the packing (first field lowest). A record with size 0 is an unknown root.
    struct Anchor {
        /// Unix time in seconds of the block that stored the root.
        uint64 timestamp;
        /// Number of that block.
        uint64 blockNumber;
        /// Number of leaves of the tree, header leaf included: a root alone does not bind its size.
        uint64 size;
        /// Number of the batch.
        uint64 number;
    }

    // ------------------------------------------------------------------ storage, order binding

    /// @notice Record of a root; four zeros if it was never anchored.
    /// @dev Slot 0.
    mapping(bytes32 root => Anchor) public anchors;

    /// @notice The only address that may anchor; zero while revoked.
    /// @dev Slot 1, bits 0..159. Shares its word with lastNumber so that anchoring touches two slots in all.
    address public publisher;

    /// @notice Number of the newest anchored batch; firstNumber - 1 while there is none.
    /// @dev Slot 1, bits 160..223.
    uint64 public lastNumber;

    /// @notice Who names and revokes publishers. Has no power over stored roots and cannot anchor.
    /// @dev Slot 2, bits 0..159.
    address public owner;

    /// @notice Number the first batch of this registry must carry.
    /// @dev Slot 2, bits 160..223. Written by the constructor alone.
    uint64 public firstNumber;

    /// @notice Who may take over ownership; zero if nobody.
    /// @dev Slot 3.
    address public pendingOwner;

    /// @notice Who may take over publishing; zero if nobody.
    /// @dev Slot 4.
    address public pendingPublisher;

    // ------------------------------------------------------------------ events

    /// @notice A root was stored. Emitted exactly once per root and per number.
    event Anchored(bytes32 indexed root, uint64 indexed number, uint64 size, address indexed publisher);
    /// @notice The owner named a successor; zero withdraws the offer.
    event OwnershipTransferStarted(address indexed owner, address indexed pendingOwner);
    /// @notice Ownership changed hands.
    event OwnershipTransferred(address indexed previousOwner, address indexed owner);
    /// @notice The owner named the next publisher; zero withdraws the offer.
    event PublisherProposed(address indexed publisher, address indexed pendingPublisher);
    /// @notice Publishing changed hands; a new publisher of zero means revoked.
    event PublisherChanged(address indexed previousPublisher, address indexed publisher);

    // ------------------------------------------------------------------ errors

    /// @notice The constructor got a zero address.
    error ZeroAddress();
    /// @notice Batch numbers start at 1.
    error ZeroFirstNumber();
    /// @notice The caller is not the owner.
    error NotOwner(address caller);
    /// @notice The caller is not the address offered ownership.
    error NotPendingOwner(address caller);
    /// @notice The caller is not the publisher.
    error NotPublisher(address caller);
    /// @notice The caller is not the address offered publishing.
    error NotPendingPublisher(address caller);
    /// @notice The all-zero root stands for "no previous batch" and cannot be anchored.
    error ZeroRoot();
    /// @notice A batch has a header leaf and at least one entry.
    error SizeTooSmall(uint64 size);
    /// @notice The root is stored under another batch number.
    error RootAlreadyAnchored(bytes32 root, uint64 storedNumber);
    /// @notice The root is stored under this number with another tree size.
    error SizeMismatch(bytes32 root, uint64 storedSize, uint64 size);
    /// @notice The number belongs to another root already.
    error NumberTaken(uint64 number, uint64 lastNumber);
    /// @notice The number is neither taken nor next. Expected is 0 only when number 2^64 - 1 is taken: nothing is next.
    error OutOfOrder(uint64 number, uint64 expected);

    modifier onlyOwner() {
        if (msg.sender != owner) revert NotOwner(msg.sender);
        _;
    }

    /// @param owner_ first owner, not zero; best a cold key or a multisignature wallet
    /// @param publisher_ first publisher, not zero
    /// @param firstNumber_ number of the first batch, at least 1; above 1 when this registry continues another one
    constructor(address owner_, address publisher_, uint64 firstNumber_) {
        if (owner_ == address(0) || publisher_ == address(0)) revert ZeroAddress();
        if (firstNumber_ == 0) revert ZeroFirstNumber();
        owner = owner_;
        publisher = publisher_;
        firstNumber = firstNumber_;
        lastNumber = firstNumber_ - 1;
        emit OwnershipTransferred(address(0), owner_);
        emit PublisherChanged(address(0), publisher_);
    }

    // ------------------------------------------------------------------ anchoring

    /// @notice Stores the root of batch `number`. Repeating a stored call is a no-op without event, so that a publisher
    /// who lost the answer may send again.
    /// @dev Publisher only, for the no-op too: strangers learn nothing and cost nothing. Which error a conflict gives:
    /// known root, other number: RootAlreadyAnchored; known root and number, other size: SizeMismatch; new root, number
    /// in firstNumber..lastNumber: NumberTaken; any other number but the next: OutOfOrder.
    /// @param number the next batch number, lastNumber + 1
    /// @param root Merkle root (RFC 9162, SHA-256) of the batch, not zero
    /// @param size number of leaves, at least 2
    function anchor(uint64 number, bytes32 root, uint64 size) external {
        if (msg.sender != publisher) revert NotPublisher(msg.sender);
        if (root == bytes32(0)) revert ZeroRoot();
        if (size < 2) revert SizeTooSmall(size);

        Anchor storage record = anchors[root];
        uint64 storedSize = record.size;
        if (storedSize != 0) {
            if (record.number != number) revert RootAlreadyAnchored(root, record.number);
            if (storedSize != size) revert SizeMismatch(root, storedSize, size);
            return;
        }

        uint64 last = lastNumber;
        unchecked {
            if (number <= last) {
                if (number >= firstNumber) revert NumberTaken(number, last);
                revert OutOfOrder(number, last + 1);
            }
            // number > last >= 0, so number - 1 cannot wrap, and last + 1 cannot either.
            if (number - 1 != last) revert OutOfOrder(number, last + 1);
        }

        lastNumber = number;
        record.timestamp = uint64(block.timestamp);
        record.blockNumber = uint64(block.number);
        record.size = size;
        record.number = number;
        emit Anchored(root, number, size, msg.sender);
    }

    /// @notice Checks that `entry` is leaf `index` of the batch with this root (RFC 9162 §2.1.3.2, strict): the leaf hash
    /// is computed from the entry, the size comes from storage, the path has exactly the length the index demands.
    /// @dev A pure read, meant for eth_call and for other contracts. It never reverts on wrong input that decodes.
    /// The meaning of the entry is the caller's: index 0 is the batch header, any other leaf is digest ‖ salt (48 bytes).
    /// @param root root of the batch
    /// @param entry bytes of the leaf, unhashed
    /// @param index position of the leaf, from 0
    /// @param path sibling hashes from the leaf to the root
    /// @return timestamp Unix time in seconds at which the root was anchored; 0 if the entry is not proven
    function verify(bytes32 root, bytes calldata entry, uint64 index, bytes32[] calldata path)
        external
        view
        returns (uint64 timestamp)
    {
        Anchor memory stored = anchors[root];
        // An unknown root has size 0, so this refuses it as well.
        if (index >= stored.size) return 0;

        uint64 fn = index;
        uint64 sn = stored.size - 1;
        bytes32 hash = sha256(abi.encodePacked(bytes1(0x00), entry));
        for (uint256 i = 0; i < path.length; ++i) {
            // At the root already: what is left of the path is surplus.
            if (sn == 0) return 0;
            if (fn & 1 == 1 || fn == sn) {
                hash = sha256(abi.encodePacked(bytes1(0x01), path[i], hash));
                // An odd node at the right edge was promoted: skip the levels on which it has no sibling.
                while (fn & 1 == 0 && fn != 0) {
                    fn >>= 1;
                    sn >>= 1;
                }
            } else {
                hash = sha256(abi.encodePacked(bytes1(0x01), hash, path[i]));
            }
            fn >>= 1;
            sn >>= 1;
        }
        // sn above 0: the path stopped short of the root.
        if (sn != 0 || hash != root) return 0;
        return stored.timestamp;
    }

    // ------------------------------------------------------------------ ownership and publishing

    /// @notice Offers ownership to `newOwner`; takes effect when accepted. Zero withdraws an open offer.
    /// @param newOwner who may accept
    function transferOwnership(address newOwner) external onlyOwner {
        pendingOwner = newOwner;
        emit OwnershipTransferStarted(msg.sender, newOwner);
    }

    /// @notice Takes over ownership; only for the address it was offered to.
    function acceptOwnership() external {
        if (msg.sender != pendingOwner) revert NotPendingOwner(msg.sender);
        address previous = owner;
        owner = msg.sender;
        pendingOwner = address(0);
        emit OwnershipTransferred(previous, msg.sender);
    }

    /// @notice Offers publishing to `newPublisher`; the present one keeps working until the offer is accepted. Zero
    /// withdraws an open offer.
    /// @param newPublisher who may accept
    function proposePublisher(address newPublisher) external onlyOwner {
        pendingPublisher = newPublisher;
        emit PublisherProposed(publisher, newPublisher);
    }

    /// @notice Takes over publishing; only for the address it was offered to. Proves that the key works before the old
    /// one stops.
    function acceptPublisher() external {
        if (msg.sender != pendingPublisher) revert NotPendingPublisher(msg.sender);
        address previous = publisher;
        publisher = msg.sender;
        pendingPublisher = address(0);
        emit PublisherChanged(previous, msg.sender);
    }

    /// @notice Stops the present publisher at once, for a stolen key. Nobody anchors until a publisher accepts.
    /// @dev An open offer stays open, so that a successor proposed before can take over without delay; if the offer
    /// itself is the problem, withdraw it with proposePublisher(0).
    function revokePublisher() external onlyOwner {
        address previous = publisher;
        publisher = address(0);
        emit PublisherChanged(previous, address(0));
    }
}
