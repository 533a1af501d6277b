//! The two languages, and choosing one.

use std::str::FromStr;

/// A language certificates are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Language {
    /// The default: the certificate is a French act in form.
    #[default]
    French,
    /// English.
    English,
}

impl Language {
    /// Both.
    pub const ALL: [Self; 2] = [Self::French, Self::English];

    /// BCP 47 tag.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::French => "fr",
            Self::English => "en",
        }
    }

    /// The best one by the values of `Accept-Language` (RFC 9110 §12.5.4; basic filtering of RFC 4647 §3.3.1). The weight of
    /// the longest range that matches counts; on equal weights the range that stands first wins. French where nothing
    /// matches: a certificate in another language is more use than none.
    #[must_use]
    pub fn negotiate<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let ranges: Vec<(&str, u16)> = values.into_iter().flat_map(|value| value.split(',')).filter_map(range).collect();
        let weigh = |language: Self| {
            let fits = |range: &str| {
                let primary = range.split('-').next().unwrap_or_default();
                primary.eq_ignore_ascii_case(language.tag())
            };
            let named = ranges.iter().enumerate().filter(|(_, (range, _))| fits(range));
            // `fr-CA;q=0.9, fr;q=0.1` is served by our one kind of French with the better of the two.
            let named = named.max_by_key(|(at, (_, weight))| (*weight, std::cmp::Reverse(*at)));
            let any = || ranges.iter().enumerate().find(|(_, (range, _))| *range == "*");
            // A language that is refused is worse than one that is not named.
            let found = named.or_else(any).map(|(at, (_, weight))| (if *weight == 0 { -1 } else { i32::from(*weight) }, at));
            found.unwrap_or((0, usize::MAX))
        };
        let (french, english) = (weigh(Self::French), weigh(Self::English));
        let earlier = |(weight, at): (i32, usize)| (weight, std::cmp::Reverse(at));
        if earlier(english) > earlier(french) { Self::English } else { Self::French }
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|language| language.tag() == text).ok_or_else(|| "not one of fr, en".into())
    }
}

/// A range with its weight in thousandths; `None` for what is none.
fn range(item: &str) -> Option<(&str, u16)> {
    let mut parts = item.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?;
    let weight = match (parts.next(), parts.next()) {
        (None, _) => 1000,
        (Some(weight), None) => {
            let (name, value) = weight.split_once('=')?;
            name.trim().eq_ignore_ascii_case("q").then(|| quality(value.trim()))??
        }
        _ => return None,
    };
    Some((range, weight))
}

/// `0(.ddd)` or `1(.000)`, in thousandths.
fn quality(text: &str) -> Option<u16> {
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    if digits.len() > 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{digits:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", value) => Some(value),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Language::{English, French};
    use super::*;

    #[test]
    fn the_reader_chooses() {
        for (header, language) in [
            ("", French),
            ("en", English),
            ("EN-gb", English),
            ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", French),
            ("en-US,en;q=0.5", English),
            ("de, en;q=0.4, fr;q=0.3", English),
            ("de", French),
            ("de, *;q=0.1", French),
            ("en;q=0, *", French),
            ("fr;q=0, *", English),
            ("fr;q=0", English),
            ("fr;q=0, en;q=0", French),
            ("fr;q=0.5, en;q=0.500", French),
            ("en;q=0.5, fr;q=0.5", English),
            ("en ; q=0.9 , fr ; Q=0.91", French),
            ("fr;q=0.1, en;q=0.2, fr-CA;q=0.3", French),
            ("*", French),
            ("*, en;q=0.1", French),
            ("eng, fro", French),
            ("en;q=1.001, fr;q=0.1", French),
            ("en;q=2, en;level=1, en;q=0.5;x=1, ;q=1, fr;q=0.001", French),
            ("en;q=.5, fr;q=0.01", French),
        ] {
            assert_eq!(Language::negotiate([header]), language, "{header}");
        }
        assert_eq!(Language::negotiate(["de", "en;q=0.2"]), English, "several fields are one list");
    }
}
