// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Fixture} from "./Base.sol";
import {Tree} from "./Tree.sol";
import {AnchorRegistry} from "../src/AnchorRegistry.sol";

/// @dev Each call runs as a transaction of its own, every slot cold. Break it: add a slot to the record, or write a
/// counter of its own.
/// forge-config: default.isolate = true
contract GasTest is Fixture {
    uint256 private constant LIMIT = 52_000;

    /// Batch 1,000,000 of a registry in use, a root without zero bytes, a million proofs in it.
    function test_gas_anchor() public {
        inUse();
        uint256 gas = transaction(1_000_000, bytes32(type(uint256).max), 1_000_001);
        emit log_named_uint("gas per anchor transaction", gas);
        vm.assertLe(gas, LIMIT, "gas per anchor");
        // A measurement that missed the cold reads or the new slot would look better than is possible.
        vm.assertLe(21_000 + 2 * 2_100 + 20_000 + 2_900, gas, "measurement is whole");
    }

    /// What an anchor costs does not depend on how many proofs are in it, but for the bytes of the number.
    function test_gas_per_proof() public {
        inUse();
        uint256 gas = transaction(1_000_000, bytes32(type(uint256).max), 1_000_001);
        emit log_named_uint("millionths of gas per proof at 1,000,000 a batch", gas * 1e6 / 1_000_000);
        vm.assertLe(gas * 1e6 / 1_000_000, 53_000, "gas per proof");
        uint256 least = transaction(1_000_001, bytes32(type(uint256).max - 1), 2);
        uint256 most = transaction(1_000_002, bytes32(type(uint256).max - 2), type(uint64).max);
        // A byte of calldata that is not zero costs 12 gas more than one that is; 2 has one such byte, the largest size eight.
        vm.assertEq(most - least, 7 * 12, "no cost in the size but its bytes");
    }

    function test_gas_repeat() public {
        store(keccak256("root"), 1_000_001);
        uint256 gas = transaction(FIRST, keccak256("root"), 1_000_001);
        emit log_named_uint("gas per repeated transaction", gas);
        vm.assertLe(gas, 28_000, "gas per repeat");
    }

    /// Execution of the call alone, as another contract would pay; by eth_call it is free.
    function test_gas_verify_at_a_million_leaves() public {
        uint64 size = 1_000_001;
        bytes32[] memory path = new bytes32[](Tree.depth(5, size));
        for (uint256 i = 0; i < path.length; ++i) {
            path[i] = keccak256(abi.encode(i));
        }
        bytes memory entry = abi.encodePacked(keccak256("digest"), bytes16(keccak256("salt")));
        bytes32 root = Tree.climb(Tree.leaf(entry), 5, size, path, path.length);
        store(root, size);
        uint256 timestamp = registry.verify(root, entry, 5, path);
        uint256 gas = vm.lastCallGas().gasTotalUsed;
        vm.assertEq(timestamp, T0, "proven");
        emit log_named_uint("path length", path.length);
        emit log_named_uint("gas per verify, execution", gas);
        vm.assertLe(gas, 25_000, "gas per verify");
    }

    function inUse() private {
        registry = new AnchorRegistry(OWNER, PUBLISHER, 999_999);
        store(keccak256("previous"), 2);
    }

    /// Gas of a whole transaction of its own (forge's isolation): what a receipt's gasUsed says.
    function transaction(uint64 number, bytes32 root, uint64 size) private returns (uint256) {
        vm.prank(PUBLISHER);
        registry.anchor(number, root, size);
        return vm.lastCallGas().gasTotalUsed;
    }
}
