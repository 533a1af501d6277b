//! Figures beside what they are measured against.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

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

/// What a ratio should be: from 0 to the most it may be, or from the least to infinity. `None`: the row is shown to read others by.
pub type Aim = Option<RangeInclusive<f64>>;

impl Row {
    fn ratio(&self) -> f64 {
        self.value / self.limit
    }

    fn reached(&self) -> Option<bool> {
        self.aim.as_ref().map(|aim| aim.contains(&self.ratio()))
    }

    /// The bound of the aim, with its name and its sign.
    fn bound(&self) -> Option<(&'static str, char, f64)> {
        let aim = self.aim.as_ref()?;
        Some(if aim.end().is_finite() { ("at_most", '≤', *aim.end()) } else { ("at_least", '≥', *aim.start()) })
    }
}

/// Prints the rows: a table for people, or one JSON object.
pub fn print(bench: &str, facts: &Value, rows: &[Row], as_json: bool) {
    if as_json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|row| {
                let aim = row.bound().map_or(Value::Null, |(name, _, aim)| json!({ name: aim }));
                json!({ "case": row.case, "value": row.value, "unit": row.unit, "against": row.against, "limit": row.limit,
                    "ratio": row.ratio(), "aim": aim, "reached": row.reached() })
            })
            .collect();
        println!("{}", json!({ "bench": bench, "facts": facts, "rows": rows }));
        return;
    }
    let mut text = format!("{bench} ({facts})\n");
    for row in rows {
        let told = if row.reached() == Some(true) { "reached" } else { "missed" };
        let aim = row.bound().map_or_else(String::new, |(_, sign, aim)| format!("aim {sign} {aim}: {told}"));
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
