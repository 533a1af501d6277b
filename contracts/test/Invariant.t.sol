// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base, Fixture, Vm} from "./Base.sol";
import {AnchorRegistry} from "../src/AnchorRegistry.sol";

/// @dev Drives a registry at random and keeps its own book of what must be true. Calls that must fail are made with a
/// low-level call and asserted to fail, so that `fail_on_revert` can stay on for everything else.
contract Handler is Base {
    struct Record {
        bytes32 root;
        uint64 timestamp;
        uint64 blockNumber;
        uint64 size;
    }

    AnchorRegistry public immutable target;
    /// Record i belongs to number FIRST + i.
    Record[] public book;
    address public owner = OWNER;
    address public publisher = PUBLISHER;
    address public pendingOwner;
    address public pendingPublisher;
    uint64 public highest = FIRST - 1;

    constructor(AnchorRegistry registry_) {
        target = registry_;
        registry = registry_;
    }

    function count() external view returns (uint256) {
        return book.length;
    }

    /// lastNumber never falls, and rises by one at most.
    modifier monotone() {
        _;
        uint64 now_ = target.lastNumber();
        vm.assertTrue(now_ == highest || now_ == highest + 1, "lastNumber moves by 0 or 1");
        highest = now_;
    }

    function anchorNext(uint256 seed, uint64 size, uint32 wait) external monotone {
        vm.warp(vm.getBlockTimestamp() + wait % 3600);
        vm.roll(vm.getBlockNumber() + wait % 300);
        size = uint64(bound(size, 2, type(uint64).max));
        bytes32 root = keccak256(abi.encode(seed, book.length));
        if (publisher == address(0)) return mustFail(PUBLISHER, next(), root, size);
        vm.prank(publisher);
        target.anchor(next(), root, size);
        book.push(Record(root, uint64(vm.getBlockTimestamp()), uint64(vm.getBlockNumber()), size));
    }

    function repeat(uint256 which, uint32 wait) external monotone {
        if (book.length == 0 || publisher == address(0)) return;
        vm.warp(vm.getBlockTimestamp() + wait % 3600);
        vm.roll(vm.getBlockNumber() + 1);
        which %= book.length;
        vm.recordLogs();
        vm.prank(publisher);
        target.anchor(FIRST + uint64(which), book[which].root, book[which].size);
        vm.assertEq(vm.getRecordedLogs().length, 0, "a repeat says nothing");
    }

    function conflict(uint256 which, uint64 value, uint8 kind) external monotone {
        address from = publisher == address(0) ? PUBLISHER : publisher;
        bytes32 fresh = keccak256(abi.encode("fresh", which, value));
        if (book.length > 0) {
            which %= book.length;
            Record memory r = book[which];
            uint64 number = FIRST + uint64(which);
            if (kind % 6 == 0 && value != number) mustFail(from, value, r.root, r.size);
            if (kind % 6 == 1 && value != r.size) mustFail(from, number, r.root, value);
            if (kind % 6 == 2) mustFail(from, number, fresh, r.size);
            if (kind % 6 == 3) mustFail(from, next(), r.root, r.size);
        }
        if (kind % 6 == 4 && value != next()) mustFail(from, value, fresh, 2);
        if (kind % 6 == 5) {
            mustFail(from, next(), bytes32(0), 2);
            mustFail(from, next(), fresh, value % 2);
        }
    }

    /// Every other time the stranger is somebody with another role, or who had or may get one.
    function strangerTries(address who, bytes32 root, uint64 size, uint256 which) external monotone {
        if (which % 4 == 0) who = owner;
        if (which % 4 == 1) who = pick(uint8(which >> 8));
        if (who != publisher) {
            mustFail(who, next(), root, size);
            if (book.length > 0) {
                which %= book.length;
                mustFail(who, FIRST + uint64(which), book[which].root, book[which].size);
            }
        }
        if (who != owner) {
            mustFail(who, abi.encodeCall(AnchorRegistry.transferOwnership, (who)));
            mustFail(who, abi.encodeCall(AnchorRegistry.proposePublisher, (who)));
            mustFail(who, abi.encodeCall(AnchorRegistry.revokePublisher, ()));
        }
        if (who != pendingOwner) mustFail(who, abi.encodeCall(AnchorRegistry.acceptOwnership, ()));
        if (who != pendingPublisher) mustFail(who, abi.encodeCall(AnchorRegistry.acceptPublisher, ()));
    }

    function offerOwnership(uint8 who) external monotone {
        pendingOwner = pick(who);
        vm.prank(owner);
        target.transferOwnership(pendingOwner);
    }

    function takeOwnership() external monotone {
        if (pendingOwner == address(0)) return;
        vm.prank(pendingOwner);
        target.acceptOwnership();
        (owner, pendingOwner) = (pendingOwner, address(0));
    }

    function offerPublishing(uint8 who) external monotone {
        pendingPublisher = pick(who);
        vm.prank(owner);
        target.proposePublisher(pendingPublisher);
    }

    function takePublishing() external monotone {
        if (pendingPublisher == address(0)) return;
        vm.prank(pendingPublisher);
        target.acceptPublisher();
        (publisher, pendingPublisher) = (pendingPublisher, address(0));
    }

    /// Revokes; three times out of four names a successor at once, so that runs do not stand still.
    function revoke(uint8 who) external monotone {
        vm.prank(owner);
        target.revokePublisher();
        publisher = address(0);
        if (who % 4 == 0) return;
        publisher = pick(who / 4 | 1);
        pendingPublisher = address(0);
        vm.prank(owner);
        target.proposePublisher(publisher);
        vm.prank(publisher);
        target.acceptPublisher();
    }

    function next() private view returns (uint64) {
        return FIRST + uint64(book.length);
    }

    /// Zero once in eight.
    function pick(uint8 who) private pure returns (address) {
        return who % 8 == 0 ? address(0) : address(uint160(0x1000 + who % 8));
    }

    function mustFail(address from, uint64 number, bytes32 root, uint64 size) private {
        mustFail(from, abi.encodeCall(AnchorRegistry.anchor, (number, root, size)));
    }

    function mustFail(address from, bytes memory call) private {
        vm.prank(from);
        (bool ok,) = address(target).call(call);
        vm.assertTrue(!ok, "a forbidden call went through");
    }
}

/// @dev Break it: take any number above lastNumber (hole); write before the checks (overwrite); let lastNumber be set
/// from anything else; let a role function touch the wrong field. Each turns one of these red.
contract InvariantTest is Fixture {
    Handler private handler;

    function setUp() public override {
        super.setUp();
        handler = new Handler(registry);
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// Numbers FIRST..lastNumber, one root each, none left out, none altered since the moment it was stored.
    function invariant_history_is_complete_and_immutable() public view {
        uint256 count = handler.count();
        vm.assertEq(registry.lastNumber(), FIRST - 1 + count, "no hole, no surplus");
        for (uint256 i = 0; i < count; ++i) {
            (bytes32 root, uint64 timestamp, uint64 blockNumber, uint64 size) = handler.book(i);
            assertRecord(root, timestamp, blockNumber, size, FIRST + i, "record as stored");
        }
    }

    function invariant_roles_change_only_as_accepted() public view {
        vm.assertEq(registry.owner(), handler.owner(), "owner");
        vm.assertEq(registry.publisher(), handler.publisher(), "publisher");
        vm.assertEq(registry.pendingOwner(), handler.pendingOwner(), "pendingOwner");
        vm.assertEq(registry.pendingPublisher(), handler.pendingPublisher(), "pendingPublisher");
        vm.assertEq(registry.firstNumber(), FIRST, "firstNumber");
        vm.assertTrue(registry.owner() != address(0), "there is always an owner");
    }
}
