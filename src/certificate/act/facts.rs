//! The facts: document, deposit, anchors, decisions.

use sceau_verifier::{Anchor, BatchHeader};

use super::flow::{Flow, HASH, Row, STRONG, VALUE, row};
use crate::certificate::chain::known;
use crate::certificate::name::printable;
use crate::certificate::words::{Words, fill};
use crate::certificate::{Certificate, Stage};

/// The texts of others that are printed, as they are printed.
pub fn shown<'a>(certificate: &Certificate<'a>) -> impl Iterator<Item = String> + use<'a> {
    let decisions = certificate.decisions.iter().flat_map(|decision| [Some(decision.validator), decision.comment]);
    let texts = [certificate.file_name, certificate.reference, Some(certificate.owner)];
    texts.into_iter().chain(decisions).flatten().map(printable)
}

/// Name and id of a chain.
pub fn chain_name(id: u64, words: &Words) -> String {
    let number = id.to_string();
    match known(id).0 {
        Some(name) => fill(words.chain, &[("name", name), ("id", &number)]),
        None => fill(words.unknown_chain, &[("id", &number)]),
    }
}

pub fn document(flow: &mut Flow, certificate: &Certificate<'_>, words: &Words) {
    let labels = &words.labels;
    flow.article(words.sections.document, 40.0);
    let name = certificate
        .file_name
        .map_or_else(|| row(labels.name, words.unnamed, super::REMARK), |name| row(labels.name, printable(name), STRONG));
    let mut rows = vec![name];
    if let Some(reference) = certificate.reference {
        rows.push(row(labels.reference, printable(reference), VALUE));
    }
    rows.push(row(labels.digest, certificate.digest.to_string(), HASH));
    flow.rows(&rows);
}

pub fn deposit(flow: &mut Flow, certificate: &Certificate<'_>, words: &Words, header: Option<&BatchHeader>) {
    let labels = &words.labels;
    let held = certificate.is_held();
    flow.article(if held { words.sections.submission } else { words.sections.deposit }, 40.0);
    let received = if held { labels.submitted } else { labels.received };
    let mut rows = vec![
        row(labels.owner, printable(certificate.owner), VALUE).remark(words.claimed),
        row(received, words.moment(certificate.received_at), VALUE).remark(words.claimed),
    ];
    match (certificate.stage, header) {
        (Stage::Sealed(receipt), Some(header)) => {
            let (batch, index) = (words.number(receipt.batch.number), words.number(receipt.entry.index));
            let count = words.number(header.count);
            let place = fill(words.place, &[("batch", &batch), ("index", &index), ("count", &count)]);
            rows.push(row(labels.operator, header.origin.clone(), VALUE));
            rows.push(row(labels.batch, place, VALUE));
            rows.push(row(labels.sealed, words.second(header.sealed_at), VALUE).remark(words.claimed));
            rows.push(row(labels.root, receipt.tree.root.to_string(), HASH));
        }
        (Stage::Pending(batch), _) => {
            rows.push(row(labels.batch, fill(words.numbered, &[("n", &words.number(batch))]), VALUE));
        }
        _ => {}
    }
    if !certificate.is_final() && matches!(certificate.stage, Stage::Pending(_) | Stage::Sealed(_)) {
        rows.push(row(labels.promised, words.moment(certificate.anchor_by), VALUE).remark(words.claimed));
    }
    flow.rows(&rows);
}

pub fn anchors(flow: &mut Flow, certificate: &Certificate<'_>, words: &Words) {
    let Stage::Sealed(receipt) = certificate.stage else { return };
    let sections = &words.sections;
    match receipt.anchors.as_slice() {
        [] => {}
        [anchor] => {
            flow.article(sections.anchor, 60.0);
            flow.rows(&of_anchor(anchor, words));
        }
        several => {
            flow.article(sections.anchors, 80.0);
            for (at, anchor) in several.iter().enumerate() {
                let (number, chain) = ((at + 1).to_string(), chain_name(anchor.chain.id(), words));
                flow.heading(&fill(words.one_anchor, &[("n", &number), ("chain", &chain)]), 60.0);
                flow.rows(&of_anchor(anchor, words)[1..]);
            }
        }
    }
}

fn of_anchor<'a>(anchor: &Anchor, words: &'a Words) -> Vec<Row<'a>> {
    let labels = &words.labels;
    let done = anchor.evidence.is_some();
    let state = row(labels.state, words.states[usize::from(!done)], VALUE);
    let state = if super::tested(anchor.chain.id()) { state.remark(words.test_anchor) } else { state };
    let time = if done { words.proven_time } else { words.unproven_time };
    vec![
        row(labels.chain, chain_name(anchor.chain.id(), words), VALUE),
        row(labels.block, fill(words.numbered, &[("n", &words.number(anchor.block_number))]), VALUE),
        row(labels.block_time, words.second(anchor.block_time), if done { STRONG } else { VALUE }).remark(time),
        row(labels.block_hash, anchor.block_hash.to_string(), HASH),
        row(labels.registry, anchor.registry.to_string(), HASH),
        row(labels.transaction, anchor.tx_hash.to_string(), HASH),
        state,
    ]
}

pub fn validations(flow: &mut Flow, certificate: &Certificate<'_>, words: &Words) {
    if certificate.decisions.is_empty() {
        return;
    }
    flow.article(words.sections.validations, 30.0);
    let rows: Vec<Row<'_>> = certificate
        .decisions
        .iter()
        .map(|decision| {
            let text = words.decisions[usize::from(!decision.approved)];
            let row = row(printable(decision.validator), fill(text, &[("time", &words.moment(decision.at))]), VALUE);
            match decision.comment.filter(|comment| !comment.is_empty()) {
                Some(comment) => row.remark(printable(comment)),
                None => row,
            }
        })
        .collect();
    flow.rows(&rows);
}
