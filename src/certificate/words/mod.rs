//! What a certificate says, in both languages. `{name}` in a text is filled in.

mod english;
mod french;

use time::OffsetDateTime;

use super::language::Language;

/// All texts of a certificate in one language.
#[derive(Debug)]
pub struct Words {
    /// Title of one that proves, of one that does not yet, and of the status of what is not registered.
    pub titles: [&'static str; 3],
    /// Line under each title.
    pub subtitles: [&'static str; 3],
    /// Under the seal and under the QR code.
    pub captions: [&'static str; 2],
    /// Warning band of a test network, and the sentence under it.
    pub test: [&'static str; 2],
    /// For the watermark.
    pub test_mark: &'static str,
    /// In the largest letters, while validators have not let it in.
    pub not_registered: &'static str,
    /// How it stands with them, and the sentence under it; `{have}`, `{needed}`.
    pub awaiting: [&'static str; 2],
    /// The same.
    pub refused: [&'static str; 2],
    /// Large status and the sentence under it; `{by}`.
    pub pending: [&'static str; 2],
    /// The same; `{by}`.
    pub sealed: [&'static str; 2],
    /// The same; `{chain}`, `{number}`.
    pub anchored: [&'static str; 2],
    /// At which moment the status was so; `{time}`.
    pub as_of: &'static str,
    /// What is proven; `{time}`, `{number}`, `{chain}`.
    pub statement: &'static str,
    /// The same on a test network.
    pub test_statement: &'static str,
    /// Headings of the sections.
    pub sections: Sections,
    /// Labels of the rows.
    pub labels: Labels,
    /// Said where nothing was said.
    pub unnamed: &'static str,
    /// Said of a time that is only claimed.
    pub claimed: &'static str,
    /// Said of the time that is proven.
    pub proven_time: &'static str,
    /// Said of the time of a block that is not final.
    pub unproven_time: &'static str,
    /// Names a chain; `{name}`, `{id}`.
    pub chain: &'static str,
    /// Names one without a name; `{id}`.
    pub unknown_chain: &'static str,
    /// Heading of one of several anchors; `{n}`, `{chain}`.
    pub one_anchor: &'static str,
    /// State of an anchor: final, not final.
    pub states: [&'static str; 2],
    /// An anchor on a test network.
    pub test_anchor: &'static str,
    /// A validator's decision: approved, refused; `{time}`.
    pub decisions: [&'static str; 2],
    /// Place in the batch; `{index}`, `{count}`.
    pub place: &'static str,
    /// A number of a series; `{n}`.
    pub numbered: &'static str,
    /// What a certificate proves.
    pub proven: &'static [&'static str],
    /// What it does not.
    pub not_proven: &'static [&'static str],
    /// What it does not of validators, where it names any.
    pub not_proven_of_validators: &'static str,
    /// How to check it without us; `{command}`-free paragraphs.
    pub check: &'static [&'static str],
    /// The same while nothing is proven.
    pub check_later: &'static [&'static str],
    /// What comes after waiting, and after a refusal.
    pub next: [&'static [&'static str]; 2],
    /// Only the attachment counts.
    pub caveat: &'static str,
    /// There is none yet; there is none, and it is no certificate.
    pub no_attachment: [&'static str; 2],
    /// Characters that are written as codes.
    pub escaped: &'static str,
    /// What the QR code shows, for those who cannot see it; `{url}`.
    pub code_alt: &'static str,
    /// Footer; `{page}`, `{pages}`.
    pub page: &'static str,
    /// Description of the PDF of each kind; `{digest}`.
    pub descriptions: [&'static str; 3],
    /// Beginning of the file's name.
    pub file: [&'static str; 3],
    /// Names of the document and the certificate in commands.
    pub files: [&'static str; 2],
    /// Months.
    pub months: [&'static str; 12],
    /// A moment; `{day}`, `{month}`, `{year}`, `{clock}`.
    pub moment: &'static str,
    /// The first of a month.
    pub first: &'static str,
    /// What goes between thousands.
    pub thousands: char,
}

/// Headings.
#[derive(Debug)]
pub struct Sections {
    pub document: &'static str,
    pub deposit: &'static str,
    pub anchor: &'static str,
    pub anchors: &'static str,
    pub validations: &'static str,
    pub scope: &'static str,
    pub proven: &'static str,
    pub not_proven: &'static str,
    pub check: &'static str,
    pub submission: &'static str,
    pub next: &'static str,
}

/// Labels.
#[derive(Debug)]
pub struct Labels {
    pub name: &'static str,
    pub reference: &'static str,
    pub digest: &'static str,
    pub owner: &'static str,
    pub received: &'static str,
    pub submitted: &'static str,
    pub operator: &'static str,
    pub batch: &'static str,
    pub sealed: &'static str,
    pub root: &'static str,
    pub chain: &'static str,
    pub block: &'static str,
    pub block_hash: &'static str,
    pub block_time: &'static str,
    pub registry: &'static str,
    pub transaction: &'static str,
    pub state: &'static str,
    pub promised: &'static str,
}

/// The texts of a language.
#[must_use]
pub const fn of(language: Language) -> &'static Words {
    match language {
        Language::French => &french::WORDS,
        Language::English => &english::WORDS,
    }
}

/// `text` with each `{name}` replaced. Values are not looked through again.
#[must_use]
pub fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value));
        rest = after;
    }
    filled + rest
}

impl Words {
    /// A moment to the second, in UTC.
    #[must_use]
    pub fn moment(&self, moment: OffsetDateTime) -> String {
        let moment = moment.to_offset(time::UtcOffset::UTC);
        let (hour, minute, second) = moment.to_hms();
        let day = if moment.day() == 1 { self.first.to_owned() } else { moment.day().to_string() };
        let clock = format!("{hour:02}:{minute:02}:{second:02}");
        let month = self.months[usize::from(u8::from(moment.month())) - 1];
        fill(self.moment, &[("day", &day), ("month", month), ("year", &moment.year().to_string()), ("clock", &clock)])
    }

    /// A moment given in seconds since 1970.
    #[must_use]
    pub fn second(&self, seconds: u64) -> String {
        let moment = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        moment.map_or_else(|| seconds.to_string(), |moment| self.moment(moment))
    }

    /// A number with its thousands apart.
    #[must_use]
    pub fn number(&self, number: u64) -> String {
        let digits = number.to_string();
        let mut text = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(self.thousands);
            }
            text.push(digit);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::name::printable;
    use crate::certificate::page::font::{Face, covers};
    use time::macros::datetime;

    #[test]
    fn moments_and_numbers_are_written_as_in_the_language() {
        let (french, english) = (of(Language::French), of(Language::English));
        let moment = datetime!(2026-08-01 02:03:04.9 +01:00);
        assert_eq!(french.moment(moment), "1er\u{a0}août\u{a0}2026 à 01:03:04\u{a0}UTC");
        assert_eq!(english.moment(datetime!(2026-12-31 23:59:59 UTC)), "31\u{a0}December\u{a0}2026 at 23:59:59\u{a0}UTC");
        assert_eq!(english.second(u64::MAX), u64::MAX.to_string());
        assert_eq!(french.number(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!((english.number(0), english.number(999), english.number(1000)), ("0".into(), "999".into(), "1,000".into()));
    }

    #[test]
    fn filling_is_not_repeated_and_leaves_nothing_open() {
        assert_eq!(fill("{a}-{b}-{c}", &[("a", "{b}"), ("b", "x")]), "{b}-x-");
        assert_eq!(fill("a{", &[]), "a");
    }

    #[test]
    fn every_character_of_every_text_can_be_drawn() {
        for language in Language::ALL {
            let text = format!("{:?}", of(language)).replace("\\u{a0}", "\u{a0}").replace("\\u{202f}", "\u{202f}");
            for character in text.chars() {
                for face in [Face::Regular, Face::Italic, Face::Bold] {
                    assert!(covers(face, character), "{character:?}");
                }
            }
        }
        assert_eq!(printable("«»’—…"), "«»’—…");
    }
}
