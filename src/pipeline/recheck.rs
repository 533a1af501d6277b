//! One more look at a batch before its root leaves the house.
//!
//! A flipped bit that is anchored cannot be taken back: logs of this kind have been retired for one. So the root is
//! computed again from what is committed, by other code than built it: a stack over the stored leaves instead of
//! layers, and a sum over the entries instead of a sort.

use sceau_verifier::{BatchHeader, merkle};

use super::seal::leaf_of;
use super::{Result, StepError};
use crate::ledger::Ledger;
use crate::ledger::batches::Batch;

/// Reads a sealed batch back and fails unless entries, leaves, header and root belong together; answers root and size.
///
/// # Errors
/// [`StepError::Halt`] says what does not fit; nothing of the batch may be anchored then.
pub async fn recheck(ledger: &Ledger, number: u64) -> Result<([u8; 32], u64)> {
    let batch = match ledger.batch(number).await? {
        Some(Batch::Sealed(batch)) => batch,
        // There is nothing to compute it from: it was taken from a registry that has it, for those that have it not.
        Some(Batch::Lost { root, size, .. }) => return Ok((root, size)),
        _ => return Err(StepError::Halt(format!("batch {number} is to be anchored but not sealed"))),
    };
    let halt = |what: &str| {
        Err(StepError::Halt(format!("batch {number} must not be anchored: {what}; see docs/operations.md, \"halted\"")))
    };

    let header = match BatchHeader::parse(&batch.header) {
        Ok(header) => header,
        Err(error) => return halt(&format!("its header is damaged: {error}")),
    };
    if header.number != number || header.count + 1 != batch.size {
        return halt("its header speaks of another batch");
    }

    let (mut stack, mut stored, mut previous, mut ascending) = (Stack::default(), Sum::default(), [0; 32], true);
    let mut first = None;
    ledger
        .each_leaf_tile(number, |hashes| {
            for leaf in hashes.as_chunks::<32>().0 {
                stack.push(*leaf);
                if first.is_none() {
                    first = Some(*leaf);
                    continue;
                }
                ascending &= previous < *leaf;
                previous = *leaf;
                stored.add(leaf);
            }
        })
        .await?;
    if first != Some(header.leaf().into()) {
        return halt("leaf 0 is not its header");
    }
    if !ascending {
        return halt("its leaves are not in ascending order");
    }
    if stack.count != batch.size {
        return halt("its size is not the number of its leaves");
    }
    if stack.root() != Some(batch.root) {
        return halt("its leaves do not give its root");
    }

    let mut entries = Sum::default();
    let count = ledger.each_entry(number, |entry| entries.add(&leaf_of(entry))).await?;
    if count != header.count || entries != stored {
        return halt("its leaves are not those of its proofs");
    }
    Ok((batch.root, batch.size))
}

/// Root of a growing tree: complete subtrees from left to right, at most one of each height (RFC 9162, section 2.1.1).
#[derive(Default)]
struct Stack {
    subtrees: Vec<[u8; 32]>,
    count: u64,
}

impl Stack {
    fn push(&mut self, leaf: [u8; 32]) {
        let mut node = leaf;
        // As many subtrees are complete with this leaf as the count has trailing ones.
        for _ in 0..self.count.trailing_ones() {
            let left = self.subtrees.pop().expect("one subtree for each bit of the count");
            node = merkle::node_hash(&left, &node);
        }
        self.subtrees.push(node);
        self.count += 1;
    }

    fn root(mut self) -> Option<[u8; 32]> {
        let mut node = self.subtrees.pop()?;
        while let Some(left) = self.subtrees.pop() {
            node = merkle::node_hash(&left, &node);
        }
        Some(node)
    }
}

/// Sum of leaf hashes modulo 2^128 in two halves: equal for equal sets in any order, different for any accident. It is
/// no defence against somebody who chooses the leaves; ascending order and the chain are.
#[derive(Default, PartialEq, Eq)]
struct Sum(u128, u128);

impl Sum {
    fn add(&mut self, leaf: &[u8; 32]) {
        let (high, low) = leaf.split_at(16);
        self.0 = self.0.wrapping_add(u128::from_be_bytes(high.try_into().expect("16 bytes")));
        self.1 = self.1.wrapping_add(u128::from_be_bytes(low.try_into().expect("16 bytes")));
    }
}

#[cfg(test)]
mod tests {
    use sceau_verifier::Tree;

    use super::*;

    #[test]
    fn the_stack_and_the_layers_agree() {
        for size in 1..=300_u64 {
            let leaves: Vec<[u8; 32]> = (0..size).map(|n| merkle::leaf_hash(&n.to_be_bytes()).into()).collect();
            let mut stack = Stack::default();
            leaves.iter().for_each(|leaf| stack.push(*leaf));
            assert_eq!(stack.root(), Some(Tree::from_leaves(leaves).root().into()), "{size} leaves");
        }
        assert_eq!(Stack::default().root(), None);
    }
}
