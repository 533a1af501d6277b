//! Reads OpenMetrics text as strictly as its specification: whatever it does not allow fails the test.

use std::collections::{BTreeMap, BTreeSet};

/// Samples by name and labels as they stand, `sceau_x{a="b"}`.
#[derive(Debug, Default)]
pub struct Scrape {
    pub samples: BTreeMap<String, f64>,
    /// Type of every family.
    pub families: BTreeMap<String, String>,
}

impl Scrape {
    /// The value of one series.
    #[track_caller]
    pub fn value(&self, series: &str) -> f64 {
        *self.samples.get(series).unwrap_or_else(|| panic!("no {series} in {:#?}", self.samples.keys()))
    }

    /// The sum of all series of a name whose labels hold all of `parts`.
    pub fn sum(&self, name: &str, parts: &[&str]) -> f64 {
        let of_name = |series: &&String| series.split('{').next() == Some(name) && parts.iter().all(|part| series.contains(part));
        self.samples.iter().filter(|(series, _)| of_name(series)).map(|(_, value)| value).sum()
    }
}

fn is_name(text: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(first) && text.chars().all(|c| first(c) || c.is_ascii_digit())
}

/// Labels `a="b",c="d"` with the escapes undone; the order is that of the text.
fn labels(text: &str) -> Vec<(String, String)> {
    let (mut found, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label in {rest:?}"));
        assert!(is_name(name), "label name {name:?}");
        let (mut value, mut chars) = (String::new(), after.char_indices());
        let end = loop {
            match chars.next().unwrap_or_else(|| panic!("no end of a label's value in {after:?}")) {
                (at, '"') => break at,
                (_, '\\') => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, c @ ('"' | '\\'))) => value.push(c),
                    other => panic!("escape {other:?} in {after:?}"),
                },
                (_, c) => value.push(c),
            }
        };
        assert!(!found.iter().any(|(known, _)| known == name), "label {name} twice in {text:?}");
        found.push((name.to_owned(), value));
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    found
}

/// Reads and checks all of it: `# EOF` at the end and only there; HELP and TYPE for every family, once, before its samples,
/// which stand together; suffixes that fit the type; units that are suffixes of names; no series twice; finite values;
/// buckets ascending, cumulative, with `+Inf` equal to the count.
pub fn read(text: &str) -> Scrape {
    let body = text.strip_suffix("# EOF\n").expect("# EOF at the end");
    let mut scrape = Scrape::default();
    let (mut helped, mut ended, mut current) = (BTreeSet::new(), BTreeSet::new(), None::<String>);
    let (mut buckets, mut counts) = (BTreeMap::<String, Vec<(f64, f64)>>::new(), BTreeMap::new());
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let (word, rest) = comment.split_once(' ').expect("HELP, TYPE or UNIT");
            let (name, told) = rest.split_once(' ').unwrap_or((rest, ""));
            assert!(is_name(name) && name.starts_with("sceau_"), "{line}");
            if current.as_deref() != Some(name) {
                assert!(ended.insert(name.to_owned()), "the family {name} stands in two places");
                current = Some(name.to_owned());
            }
            match word {
                "HELP" => assert!(!told.is_empty() && helped.insert(name.to_owned()), "{line}"),
                "TYPE" => {
                    assert!(matches!(told, "counter" | "gauge" | "histogram" | "info"), "{line}");
                    assert!(scrape.families.insert(name.to_owned(), told.to_owned()).is_none(), "{line}");
                }
                "UNIT" => assert!(name.ends_with(&format!("_{told}")), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line:?}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        assert!(value.is_finite(), "{line}");
        let (name, label) = match series.split_once('{') {
            Some((name, rest)) => (name, rest.strip_suffix('}').unwrap_or_else(|| panic!("{line}"))),
            None => (series, ""),
        };
        let label = labels(label);
        let family = current.clone().unwrap_or_else(|| panic!("a sample before any family: {line}"));
        let kind = scrape.families.get(&family).unwrap_or_else(|| panic!("no TYPE: {line}"));
        assert!(helped.contains(&family), "no HELP: {line}");
        let suffix = name.strip_prefix(&family).unwrap_or_else(|| panic!("{line} stands under {family}"));
        let fits = match kind.as_str() {
            "counter" => suffix == "_total" && value >= 0.0,
            "gauge" => suffix.is_empty(),
            "info" => suffix == "_info" && value == 1.0,
            _ => matches!(suffix, "_bucket" | "_sum" | "_count"),
        };
        assert!(fits, "{line} does not fit a {kind}");
        if suffix == "_bucket" {
            let (bound, others): (Vec<_>, Vec<_>) = label.iter().partition(|(name, _)| name == "le");
            let bound = match bound[..] {
                [(_, bound)] if bound == "+Inf" => f64::INFINITY,
                [(_, bound)] => bound.parse().expect("a bound"),
                _ => panic!("a bucket without one bound: {line}"),
            };
            buckets.entry(format!("{family}{others:?}")).or_default().push((bound, value));
        }
        if suffix == "_count" {
            counts.insert(format!("{family}{:?}", label.iter().collect::<Vec<_>>()), value);
        }
        assert!(scrape.samples.insert(series.to_owned(), value).is_none(), "twice: {series}");
    }
    assert!(counts.keys().eq(buckets.keys()), "{counts:?} {buckets:?}");
    for (histogram, all) in buckets {
        assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1), "{histogram}: {all:?}");
        assert_eq!(all.last(), Some(&(f64::INFINITY, counts[&histogram])), "{histogram}");
    }
    scrape
}

#[test]
fn the_reader_refuses_what_is_not_allowed() {
    let right = "# HELP sceau_a Of a.\n# TYPE sceau_a counter\nsceau_a_total{x=\"y\\\"\"} 1\n# EOF\n";
    assert_eq!(read(right).value("sceau_a_total{x=\"y\\\"\"}"), 1.0);
    for (from, to) in [
        ("# EOF\n", ""),
        ("# HELP sceau_a Of a.\n", ""),
        ("# TYPE sceau_a counter\n", ""),
        ("_total", ""),
        ("} 1", "} x"),
        ("} 1", "} NaN"),
        ("x=\"y", "1x=\"y"),
        ("sceau_a_total{x=\"y\\\"\"} 1\n", "sceau_a_total{x=\"y\\\"\"} 1\nsceau_a_total{x=\"y\\\"\"} 2\n"),
    ] {
        let wrong = right.replace(from, to);
        assert_ne!(wrong, right);
        assert!(std::panic::catch_unwind(|| read(&wrong)).is_err(), "{wrong}");
    }
}
