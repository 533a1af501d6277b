// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @dev RFC 9162 trees by their recursive definitions (§2.1.1, §2.1.3.1), on purpose unlike the iterative algorithm
/// under test so that the two do not share a mistake.
library Tree {
    function leaf(bytes memory entry) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), entry));
    }

    function node(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x01), left, right));
    }

    /// @dev Largest power of two below `n`, for n at least 2.
    function split(uint256 n) internal pure returns (uint256 k) {
        k = 1;
        while (k << 1 < n) k <<= 1;
    }

    /// @dev MTH over `leaves[from .. from + n)`, n at least 1.
    function root(bytes32[] memory leaves, uint256 from, uint256 n) internal pure returns (bytes32) {
        if (n == 1) return leaves[from];
        uint256 k = split(n);
        return node(root(leaves, from, k), root(leaves, from + k, n - k));
    }

    /// @dev Length of PATH(index, D[size]).
    function depth(uint256 index, uint256 size) internal pure returns (uint256) {
        if (size == 1) return 0;
        uint256 k = split(size);
        return 1 + (index < k ? depth(index, k) : depth(index - k, size - k));
    }

    /// @dev PATH(index, D[size]), from the leaf to the root.
    function path(bytes32[] memory leaves, uint256 index) internal pure returns (bytes32[] memory out) {
        out = new bytes32[](depth(index, leaves.length));
        uint256 pos = out.length;
        uint256 from = 0;
        uint256 n = leaves.length;
        while (n > 1) {
            uint256 k = split(n);
            if (index - from < k) {
                out[--pos] = root(leaves, from + k, n - k);
                n = k;
            } else {
                out[--pos] = root(leaves, from, k);
                from += k;
                n -= k;
            }
        }
    }

    /// @dev Root a path leads to; `used` is how many of its hashes count, which must be depth(index, size).
    function climb(bytes32 hash, uint256 index, uint256 size, bytes32[] memory siblings, uint256 used)
        internal
        pure
        returns (bytes32)
    {
        if (size == 1) return hash;
        uint256 k = split(size);
        return index < k
            ? node(climb(hash, index, k, siblings, used - 1), siblings[used - 1])
            : node(siblings[used - 1], climb(hash, index - k, size - k, siblings, used - 1));
    }
}
