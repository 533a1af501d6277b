//! The text of a receipt. What the receipts of a batch have in common is checked and printed once: a receipt checks and prints its entry
//! and copies the rest. How its anchors stand is read for each, and only what was printed for anchors that stand so is copied.

use sceau_verifier::{Digest, Entry};

use super::known::{Known, Printed};
use super::{Assembled, Trunk, damaged, of_read, path_of};
use crate::ledger::accounts::AccountId;
use crate::ledger::anchors::AnchorState;
use crate::ledger::proofs::receipts::Standing;
use crate::ledger::{Ledger, Result};

/// The text of a receipt, and what there is to know of it.
#[derive(Debug, Clone)]
pub struct Text {
    /// The canonical bytes.
    pub bytes: Vec<u8>,
    /// Names these bytes: another receipt has another. The same by every instance, whatever it remembers.
    pub tag: Digest,
    /// As [`Assembled::complete`].
    pub complete: bool,
    /// As [`Assembled::needed`].
    pub needed: u64,
    /// Anchors in it.
    pub anchors: u64,
    /// Anchors in it with their evidence.
    pub finals: u64,
}

/// The receipt of the account's `digest`; `None` without such a proof, and while its batch is not sealed.
///
/// # Errors
/// As [`super::of`].
pub async fn text(ledger: &Ledger, known: &Known, account: AccountId, digest: &Digest) -> Result<Option<Text>> {
    let Some(standing) = ledger.receipt_standing(account, digest).await? else { return Ok(None) };
    let printed = known.printed(standing.batch, &standing.root, &standing.marks);
    match printed.filter(|_| !standing.waited) {
        Some(printed) => print(ledger, known, digest, &standing, &printed).await.map(Some),
        None => {
            let evidence = !standing.marks.iter().all(|mark| known.has_evidence(standing.batch, mark));
            Ok(of_read(ledger, known, account, digest, evidence).await?.map(Text::whole))
        }
    }
}

async fn print(ledger: &Ledger, known: &Known, digest: &Digest, standing: &Standing, printed: &Printed) -> Result<Text> {
    let entry = Entry { digest: *digest, salt: standing.salt };
    let trunk = Trunk { batch: standing.batch, size: printed.common.size(), root: standing.root };
    let (index, path) = path_of(ledger, known, &trunk, &entry.leaf()).await?;
    let mut bytes = printed.common.head(&entry, index, path).map_err(|failure| {
        known.forget(trunk.batch);
        damaged(trunk.batch, &format!("the receipt of {digest} would not verify: {failure}"))
    })?;
    let tag = tag(&mut bytes, &printed.tail);
    bytes.extend_from_slice(printed.common.tail());
    let finals = standing.marks.iter().filter(|mark| mark.state == AnchorState::Final).count() as u64;
    Ok(Text { bytes, tag, complete: true, needed: standing.needed, anchors: finals, finals })
}

impl Text {
    fn whole(assembled: Assembled) -> Self {
        let Assembled { receipt, bytes, complete, needed } = assembled;
        let (mut head, tail) = receipt.to_parts();
        let finals = receipt.anchors.iter().filter(|anchor| anchor.evidence.is_some()).count() as u64;
        let tag = tag(&mut head, &Digest::of(&tail));
        Self { bytes, tag, complete, needed, anchors: receipt.anchors.len() as u64, finals }
    }
}

/// SHA-256 of the first part followed by the SHA-256 of the second: the long part is hashed once.
fn tag(head: &mut Vec<u8>, tail: &Digest) -> Digest {
    let length = head.len();
    head.extend_from_slice(tail.as_ref());
    let tag = Digest::of(head);
    head.truncate(length);
    tag
}
