//! One column of one row changed at random, again and again: each change is found. `SOAK_CHANGES=1000` changes more, and
//! `SOAK_CHANGES_SEED=7` the same as before.

use super::{Kit, TABLES, audit, change, history, restore, save};
use crate::model::Rng;

/// How a column is changed.
#[derive(Debug, Clone, Copy)]
enum How {
    /// One bit of one byte.
    Bit,
    /// One more, or one less.
    Number,
    /// One character.
    Character,
    /// A minute to an hour earlier or later.
    Time,
}

/// Every column that says something another column or a chain can be held against. `received_at`, `opened_at` and
/// `closed_at` are held against their order only, comments and names against nothing; `anchors_needed` counts from the seal on.
const COLUMNS: &[(&str, &str, How)] = &[
    ("proofs", "account_id", How::Number),
    ("proofs", "batch", How::Number),
    ("proofs", "digest", How::Bit),
    ("proofs", "salt", How::Bit),
    ("proofs", "number", How::Number),
    ("account_numbers", "account_id", How::Number),
    ("account_numbers", "last", How::Number),
    ("account_numbers", "closed", How::Number),
    ("batch_accounts", "batch", How::Number),
    ("batch_accounts", "account_id", How::Number),
    ("batch_accounts", "first", How::Number),
    ("batch_accounts", "last", How::Number),
    ("batches", "number", How::Number),
    ("batches", "header", How::Character),
    ("batches", "size", How::Number),
    ("batches", "root", How::Bit),
    ("batches", "sealed_at", How::Time),
    ("tiles", "batch", How::Number),
    ("tiles", "level", How::Number),
    ("tiles", "index", How::Number),
    ("tiles", "lowest", How::Bit),
    ("tiles", "hashes", How::Bit),
    ("targets", "chain_id", How::Number),
    ("targets", "registry", How::Bit),
    ("targets", "first_number", How::Number),
    ("targets", "code_hash", How::Bit),
    ("lanes", "chain_id", How::Number),
    ("lanes", "signer", How::Bit),
    ("lanes", "next_nonce", How::Number),
    ("anchors", "batch", How::Number),
    ("anchors", "nonce", How::Number),
    ("anchors", "tx_hash", How::Bit),
    ("anchors", "tx_index", How::Number),
    ("anchors", "block_number", How::Number),
    ("anchors", "block_hash", How::Bit),
    ("anchors", "block_time", How::Number),
    ("anchors", "evidence", How::Character),
    ("anchor_history", "batch", How::Number),
    ("attempts", "batch", How::Number),
    ("attempts", "tx_hash", How::Bit),
    ("attempts", "raw", How::Bit),
    ("attempts", "max_fee", How::Number),
    ("attempts", "max_priority_fee", How::Number),
    ("doubled_digests", "doubled", How::Bit),
    ("doubled_digests", "account_id", How::Number),
    ("doubled_digests", "digest", How::Bit),
];

fn statement(rng: &mut Rng) -> String {
    let (table, column, how) = COLUMNS[rng.below(COLUMNS.len() as u64) as usize];
    let (row, place, bit) = (rng.next() % 1_000_000, rng.next() % 1_000_000, rng.below(8));
    let sign = if rng.below(2) == 0 { "+" } else { "-" };
    let changed = match how {
        How::Bit => {
            let at = format!("{place} % octet_length({column})");
            format!("set_byte({column}, {at}, get_byte({column}, {at}) # {})", 1 << bit)
        }
        How::Number => format!("{column} {sign} 1"),
        How::Character => {
            let at = format!("{place} % length({column}) + 1");
            format!("overlay({column} placing case substr({column}, {at}, 1) when 'x' then 'y' else 'x' end from {at} for 1)")
        }
        How::Time => format!("{column} {sign} interval '{} minutes'", 1 + rng.below(60)),
    };
    // Any row that has something there: `ctid` tells rows apart in tables of all shapes.
    format!(
        "update {table} set {column} = {changed} where ctid = (select ctid from {table} where {column} is not null order by ctid \
         offset {row} % (select count(*) from {table} where {column} is not null) limit 1)"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_at_random_is_found() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let changes = number("SOAK_CHANGES").unwrap_or(40);
    let seed = number("SOAK_CHANGES_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let kit = Kit::new(sceau::dev::anvil::Mining::Instant).await;
    history(&kit).await;
    save(&kit, TABLES).await;
    let (mut rng, mut refused, mut missed) = (Rng::new(seed), 0, Vec::new());
    for _ in 0..changes {
        let statement = statement(&mut rng);
        match change(&kit, std::slice::from_ref(&statement)).await {
            // What the schema itself refuses cannot be changed behind our back.
            Err(_) => refused += 1,
            Ok(rows) => {
                assert_eq!(rows, 1, "nothing was changed: {statement}");
                if audit(&kit).await.is_clean() {
                    missed.push(statement);
                }
                restore(&kit, TABLES).await;
            }
        }
    }
    eprintln!("seed {seed}: {changes} changes, {refused} refused by the schema, {} missed", missed.len());
    assert!(missed.is_empty(), "SOAK_CHANGES_SEED={seed} SOAK_CHANGES={changes}:\n{}", missed.join("\n"));
    assert!(refused < changes / 2, "most changes must get as far as the audit");
}
