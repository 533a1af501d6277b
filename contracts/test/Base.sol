// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {AnchorRegistry} from "../src/AnchorRegistry.sol";

/// @dev The part of forge's cheatcode interface these tests use.
interface Vm {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    struct Gas {
        uint64 gasLimit;
        uint64 gasTotalUsed;
        uint64 gasMemoryUsed;
        int64 gasRefunded;
        uint64 gasRemaining;
    }

    function lastCallGas() external view returns (Gas memory);
    function prank(address sender) external;
    function startPrank(address sender) external;
    function stopPrank() external;
    function deal(address who, uint256 wei_) external;
    function warp(uint256 timestamp) external;
    function roll(uint256 blockNumber) external;
    function getBlockTimestamp() external view returns (uint256);
    function getBlockNumber() external view returns (uint256);
    function load(address target, bytes32 slot) external view returns (bytes32);
    function expectRevert(bytes calldata data) external;
    function expectEmit(address emitter) external;
    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory);
    function assertTrue(bool condition, string calldata why) external pure;
    function assertEq(uint256 a, uint256 b, string calldata why) external pure;
    function assertEq(bytes32 a, bytes32 b, string calldata why) external pure;
    function assertEq(address a, address b, string calldata why) external pure;
    function assertLe(uint256 a, uint256 b, string calldata why) external pure;
}

/// @dev Common ground: who is who, and what is asked often.
abstract contract Base {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    address internal constant OWNER = address(0xA11CE);
    address internal constant PUBLISHER = address(0xB0B);
    address internal constant STRANGER = address(0xBAD);
    uint64 internal constant FIRST = 7;
    uint256 internal constant T0 = 1_790_000_000;

    AnchorRegistry internal registry;

    /// @dev Shown by `forge test -vv`.
    event log_named_uint(string key, uint256 value);

    /// @dev Stores `root` as the next batch.
    function store(bytes32 root, uint64 size) internal {
        uint64 number = registry.lastNumber() + 1;
        vm.prank(PUBLISHER);
        registry.anchor(number, root, size);
    }

    function bound(uint256 x, uint256 low, uint256 high) internal pure returns (uint256) {
        if (x >= low && x <= high) return x;
        return high - low == type(uint256).max ? x : low + x % (high - low + 1);
    }

    function assertRecord(
        bytes32 root,
        uint256 timestamp,
        uint256 blockNumber,
        uint256 size,
        uint256 number,
        string memory why
    ) internal view {
        (uint64 t, uint64 b, uint64 s, uint64 n) = registry.anchors(root);
        vm.assertEq(t, timestamp, why);
        vm.assertEq(b, blockNumber, why);
        vm.assertEq(s, size, why);
        vm.assertEq(n, number, why);
    }
}

/// @dev A fresh registry that starts at batch 7.
abstract contract Fixture is Base {
    function setUp() public virtual {
        vm.warp(T0);
        vm.roll(12);
        registry = new AnchorRegistry(OWNER, PUBLISHER, FIRST);
    }
}
