// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Fixture} from "./Base.sol";
import {Tree} from "./Tree.sol";

/// @dev `verify` against recursive trees. Break it, each turns something red: accept index >= size; drop the check for a
/// surplus path; drop the check for a short path; drop the comparison with the root; swap the children; skip the
/// promotion loop; change a prefix; return before looking at the path.
contract VerifyTest is Fixture {
    /// Roots of the first 1..8 leaves of the certificate transparency reference tree.
    function test_known_trees() public {
        bytes[8] memory entries = [
            bytes(hex""),
            hex"00",
            hex"10",
            hex"2021",
            hex"3031",
            hex"40414243",
            hex"5051525354555657",
            hex"606162636465666768696a6b6c6d6e6f"
        ];
        bytes32[7] memory roots = [
            bytes32(0xfac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125),
            0xaeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77,
            0xd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7,
            0x4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4,
            0x76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef,
            0xddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c,
            0x5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328
        ];
        for (uint64 size = 2; size <= 8; ++size) {
            bytes32[] memory leaves = new bytes32[](size);
            for (uint256 i = 0; i < size; ++i) {
                leaves[i] = Tree.leaf(entries[i]);
            }
            bytes32 root = roots[size - 2];
            vm.assertEq(Tree.root(leaves, 0, size), root, "reference root");
            store(root, size);
            for (uint64 i = 0; i < size; ++i) {
                vm.assertEq(registry.verify(root, entries[i], i, Tree.path(leaves, i)), T0, "proven");
            }
        }
    }

    /// Every (index, size) up to 40 leaves, tried under every index: only the true one is proven.
    function test_every_small_tree_accepts_only_true_indices() public {
        for (uint64 size = 2; size <= 40; ++size) {
            (bytes32 root, bytes32[] memory leaves) = plant(size, size);
            for (uint64 i = 0; i < size; i += size > 20 ? 3 : 1) {
                onlyIndex(root, entry(size, i), i, size + 2, Tree.path(leaves, i));
            }
        }
    }

    function testFuzz_accepts_only_the_true_index(uint256 seed, uint64 size, uint64 index) public {
        size = uint64(bound(size, 2, 40));
        index = uint64(bound(index, 0, size - 1));
        (bytes32 root, bytes32[] memory leaves) = plant(seed, size);
        onlyIndex(root, entry(seed, index), index, size + 2, Tree.path(leaves, index));
        vm.assertEq(
            registry.verify(root, entry(seed, index), index + (1 << 63), Tree.path(leaves, index)), 0, "far index"
        );
    }

    /// One change to a true proof of a small tree: nothing but the original is proven.
    function testFuzz_refuses_every_change(uint256 seed, uint64 size, uint64 index, uint8 where, uint8 bit) public {
        size = uint64(bound(size, 2, 40));
        index = uint64(bound(index, 0, size - 1));
        (bytes32 root, bytes32[] memory leaves) = plant(seed, size);
        bytes memory e = entry(seed, index);
        bytes32[] memory path = Tree.path(leaves, index);

        bytes memory changed = bytes.concat(e);
        changed[where % e.length] ^= bytes1(uint8(1 << (bit % 8)));
        refused(root, changed, index, path, "changed entry");
        refused(root, bytes.concat(e, hex"00"), index, path, "longer entry");
        refused(bytes32(uint256(root) ^ (1 << bit)), e, index, path, "unknown root");
        refused(root, e, index, resize(path, path.length + 1), "surplus zero hash");
        refused(root, e, index, resize(path, path.length - 1), "path too short");
        refused(root, e, index, new bytes32[](0), "no path");
        path[where % path.length] ^= bytes32(uint256(1) << bit);
        refused(root, e, index, path, "changed path");
    }

    /// The recursive and the iterative rule agree for any size a uint64 can hold.
    function testFuzz_huge_trees(uint256 seed, uint64 size, uint64 index, uint64 other, uint8 shrink) public {
        size = uint64(bound(size >> (shrink % 63), 2, type(uint64).max));
        index = uint64(bound(index, 0, size - 1));
        uint256 depth = Tree.depth(index, size);
        bytes32[] memory path = new bytes32[](depth);
        for (uint256 i = 0; i < depth; ++i) {
            path[i] = keccak256(abi.encode(seed, i));
        }
        bytes memory e = entry(seed, index);
        bytes32 root = Tree.climb(Tree.leaf(e), index, size, path, depth);
        store(root, size);
        vm.assertEq(registry.verify(root, e, index, path), T0, "proven");
        if (other != index) refused(root, e, other, path, "other index");
        refused(root, e, size, path, "index = size");
        refused(root, e, index ^ 1, path, "sibling's index");
        refused(root, e, index, resize(path, depth + 1), "surplus");
        refused(root, e, index, resize(path, depth - 1), "short");
    }

    /// A path of (6, 7) proves (3, 4) too where the size is the prover's to choose; here storage says 7.
    function test_the_size_is_not_the_provers_choice() public {
        (bytes32 root, bytes32[] memory leaves) = plant(1, 7);
        bytes32[] memory path = Tree.path(leaves, 6);
        bytes32 leaf = Tree.leaf(entry(1, 6));
        vm.assertEq(Tree.climb(leaf, 3, 4, path, 2), root, "the ambiguity exists");
        onlyIndex(root, entry(1, 6), 6, 12, path);
    }

    /// The two children of a node, given as an entry, are not a leaf: leaves and nodes have different prefixes.
    function test_inner_nodes_are_not_entries() public {
        (bytes32 root, bytes32[] memory leaves) = plant(1, 4);
        bytes32[] memory upper = new bytes32[](1);
        upper[0] = Tree.node(leaves[2], leaves[3]);
        bytes memory children = abi.encodePacked(leaves[0], leaves[1]);
        for (uint64 i = 0; i < 5; ++i) {
            refused(root, children, i, upper, "children as entry");
            refused(root, bytes.concat(hex"01", children), i, upper, "node preimage as entry");
            refused(root, abi.encodePacked(upper[0]), i, upper, "node hash as entry");
        }
        bytes memory whole = abi.encodePacked(Tree.node(leaves[0], leaves[1]), upper[0]);
        refused(root, whole, 0, new bytes32[](0), "the root's own preimage");
    }

    function test_nothing_is_proven_of_an_unknown_or_zero_root() public view {
        refused(bytes32(0), "", 0, new bytes32[](0), "zero root");
        refused(Tree.leaf("x"), "x", 0, new bytes32[](0), "tree of one leaf, never anchored");
    }

    /// The time told is the record's, not the present.
    function test_returns_the_time_of_anchoring() public {
        (bytes32 root, bytes32[] memory leaves) = plant(1, 3);
        vm.warp(T0 + 86_400);
        vm.assertEq(registry.verify(root, entry(1, 2), 2, Tree.path(leaves, 2)), T0, "time of anchoring");
    }

    /// A header longer than 48 bytes as leaf 0, digest and salt in the others: what batches look like.
    function entry(uint256 seed, uint256 index) private pure returns (bytes memory) {
        if (index == 0) return abi.encodePacked('{"v":1,"origin":"sceau.example/log","number":7,"seed":', seed, "}");
        return abi.encodePacked(keccak256(abi.encode(seed, index)), bytes16(keccak256(abi.encode(index, seed))));
    }

    function plant(uint256 seed, uint64 size) private returns (bytes32 root, bytes32[] memory leaves) {
        leaves = new bytes32[](size);
        for (uint256 i = 0; i < size; ++i) {
            leaves[i] = Tree.leaf(entry(seed, i));
        }
        root = Tree.root(leaves, 0, size);
        store(root, size);
    }

    function onlyIndex(bytes32 root, bytes memory e, uint64 index, uint64 upTo, bytes32[] memory path) private view {
        for (uint64 j = 0; j <= upTo; ++j) {
            vm.assertEq(registry.verify(root, e, j, path), j == index ? T0 : 0, "only the true index");
        }
    }

    function refused(bytes32 root, bytes memory e, uint64 index, bytes32[] memory path, string memory why)
        private
        view
    {
        vm.assertEq(registry.verify(root, e, index, path), 0, why);
    }

    function resize(bytes32[] memory path, uint256 length) private pure returns (bytes32[] memory out) {
        out = new bytes32[](length);
        for (uint256 i = 0; i < length && i < path.length; ++i) {
            out[i] = path[i];
        }
    }
}
