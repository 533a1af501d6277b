//! The leaves of a batch, from the order of the table into the order of the tree.

/// Leaf hashes by their first byte. They are hashes of random salts, so the buckets are about equally full; each is sorted
/// where the caches hold it, and given back to the system as soon as it is in the tree.
#[derive(Debug)]
pub(super) struct Leaves(Vec<Vec<[u8; 32]>>);

/// Two leaves are equal.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Equal;

impl Default for Leaves {
    fn default() -> Self {
        Self(vec![Vec::new(); 256])
    }
}

impl Leaves {
    /// One more, at any place.
    pub(super) fn push(&mut self, leaf: [u8; 32]) {
        self.0[usize::from(leaf[0])].push(leaf);
    }

    /// Calls `each` with all leaves, some at a time, in strictly ascending order, until it answers that it wants no more.
    pub(super) fn ascending(self, mut each: impl FnMut(&[[u8; 32]]) -> bool) -> Result<(), Equal> {
        for mut bucket in self.0 {
            // Whole leaves are compared only where the first eight bytes are the same.
            bucket.sort_unstable_by(|a, b| beginning(a).cmp(&beginning(b)).then_with(|| a.cmp(b)));
            // Equal leaves have the same first byte.
            if bucket.windows(2).any(|pair| pair[0] >= pair[1]) {
                return Err(Equal);
            }
            if !each(&bucket) {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn beginning(leaf: &[u8; 32]) -> u64 {
    u64::from_be_bytes(*leaf.first_chunk().expect("a leaf is longer than eight bytes"))
}

#[cfg(test)]
mod tests {
    use sceau_verifier::merkle;

    use super::*;

    fn ascending(leaves: &[[u8; 32]]) -> Result<Vec<[u8; 32]>, Equal> {
        let mut sorted = Leaves::default();
        leaves.iter().for_each(|leaf| sorted.push(*leaf));
        let mut all = Vec::new();
        sorted.ascending(|some| {
            all.extend_from_slice(some);
            true
        })?;
        Ok(all)
    }

    #[test]
    fn leaves_come_out_in_order_and_none_twice() {
        for count in [0, 1, 2, 300, 20_000] {
            let leaves: Vec<[u8; 32]> = (0..count).map(|n: u64| merkle::leaf_hash(&n.to_be_bytes()).into()).collect();
            let mut sorted = leaves.clone();
            sorted.sort_unstable();
            assert_eq!(ascending(&leaves), Ok(sorted), "{count} leaves");
        }
        // The same first eight bytes, told apart by the last; and the same altogether.
        let (mut low, mut high) = ([7; 32], [7; 32]);
        (low[31], high[31]) = (1, 2);
        assert_eq!(ascending(&[high, low]), Ok(vec![low, high]));
        assert_eq!(ascending(&[high, low, high]), Err(Equal));
    }
}
