//! Figures beside what they are measured against.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// One case: a value, what bounds it, and what their ratio should reach.
#[derive(Debug)]
pub struct Row {
    /// What was done.
    pub case: String,
    /// The value, in `unit`.
    pub value: f64,
    /// What it is measured against.
    pub against: String,
    /// Its value, in `unit`.
    pub limit: f64,
    /// Of value and limit.
    pub unit: &'static str,
    /// The ratio value ÷ limit that is aimed at.
    pub aim: Aim,
}

/// What a ratio should be.
#[allow(dead_code, reason = "not every bench has all of these aims")]
#[derive(Debug, Clone, Copy)]
pub enum Aim {
    /// At least so much.
    AtLeast(f64),
    /// At most so much.
    AtMost(f64),
    /// Nothing: shown to read the others by.
    None,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.value / self.limit
    }

    fn reached(&self) -> Option<bool> {
        match self.aim {
            Aim::AtLeast(aim) => Some(self.ratio() >= aim),
            Aim::AtMost(aim) => Some(self.ratio() <= aim),
            Aim::None => None,
        }
    }
}

/// Prints the rows: a table for people, or one JSON object.
pub fn print(bench: &str, facts: &Value, rows: &[Row], as_json: bool) {
    if as_json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|row| {
                let aim = match row.aim {
                    Aim::AtLeast(aim) => json!({ "at_least": aim }),
                    Aim::AtMost(aim) => json!({ "at_most": aim }),
                    Aim::None => Value::Null,
                };
                json!({ "case": row.case, "value": row.value, "unit": row.unit, "against": row.against, "limit": row.limit,
                    "ratio": row.ratio(), "aim": aim, "reached": row.reached() })
            })
            .collect();
        println!("{}", json!({ "bench": bench, "facts": facts, "rows": rows }));
        return;
    }
    let mut text = format!("{bench} ({facts})\n");
    for row in rows {
        let aim = match (row.aim, row.reached()) {
            (Aim::AtLeast(aim), reached) => format!("aim ≥ {aim}: {}", if reached == Some(true) { "reached" } else { "missed" }),
            (Aim::AtMost(aim), reached) => format!("aim ≤ {aim}: {}", if reached == Some(true) { "reached" } else { "missed" }),
            (Aim::None, _) => String::new(),
        };
        let _ = writeln!(
            text,
            "  {:<44} {:>12.1} {:<5} against {:<44} {:>12.1}   ratio {:>6.3}   {aim}",
            row.case,
            row.value,
            row.unit,
            row.against,
            row.limit,
            row.ratio()
        );
    }
    print!("{text}");
}
