//! Names of chains, and which of them prove nothing to anybody else.

/// What is known of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A public chain.
    Public,
    /// A test network: it may be restarted, and its blocks cost nothing.
    Test,
    /// Not in the table.
    Unknown,
}

/// Name and kind of an EIP-155 chain id (from ethereum-lists/chains).
#[must_use]
pub const fn known(id: u64) -> (Option<&'static str>, Kind) {
    use Kind::{Public, Test, Unknown};
    let (name, kind) = match id {
        1 => ("Ethereum", Public),
        10 => ("OP Mainnet", Public),
        56 => ("BNB Smart Chain", Public),
        100 => ("Gnosis", Public),
        137 => ("Polygon", Public),
        324 => ("zkSync Era", Public),
        8_453 => ("Base", Public),
        42_161 => ("Arbitrum One", Public),
        42_220 => ("Celo", Public),
        42_793 => ("Etherlink", Public),
        43_114 => ("Avalanche C-Chain", Public),
        59_144 => ("Linea", Public),
        534_352 => ("Scroll", Public),
        3 => ("Ropsten", Test),
        4 => ("Rinkeby", Test),
        5 => ("Görli", Test),
        42 => ("Kovan", Test),
        97 => ("BNB Smart Chain Testnet", Test),
        300 => ("zkSync Sepolia", Test),
        1_337 => ("Geth dev", Test),
        10_200 => ("Gnosis Chiado", Test),
        17_000 => ("Holesky", Test),
        31_337 => ("Anvil", Test),
        43_113 => ("Avalanche Fuji", Test),
        44_787 => ("Celo Alfajores", Test),
        59_141 => ("Linea Sepolia", Test),
        80_001 => ("Polygon Mumbai", Test),
        80_002 => ("Polygon Amoy", Test),
        84_532 => ("Base Sepolia", Test),
        128_123 => ("Etherlink Ghostnet", Test),
        421_614 => ("Arbitrum Sepolia", Test),
        534_351 => ("Scroll Sepolia", Test),
        560_048 => ("Hoodi", Test),
        11_155_111 => ("Sepolia", Test),
        11_155_420 => ("OP Sepolia", Test),
        _ => return (None, Unknown),
    };
    (Some(name), kind)
}

/// Whether it is known to be a test network.
#[must_use]
pub const fn is_test(id: u64) -> bool {
    matches!(known(id).1, Kind::Test)
}

#[cfg(test)]
mod tests {
    use super::{Kind, known};

    #[test]
    fn test_networks_are_told_from_public_ones() {
        for id in [31_337, 1_337, 11_155_111, 17_000, 560_048, 80_002, 84_532] {
            assert_eq!(known(id).1, Kind::Test, "{id}");
        }
        for id in [1, 10, 137, 8_453, 42_161] {
            assert_eq!(known(id).1, Kind::Public, "{id}");
        }
        assert_eq!(known(987_654_321), (None, Kind::Unknown));
    }
}
