//! Moments with microseconds and their one spelling.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::utc;

/// Microseconds since 1970, spelled `2026-11-22T07:11:19.631019Z`: zeros at the end of the fraction are left out, and the
/// point with them when nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// The moment so many microseconds after 1970; none behind the year 9999.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Option<Self> {
        if micros / 1_000_000 > utc::MAX { None } else { Some(Self(micros)) }
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = utc::format(self.0 / 1_000_000).ok_or(fmt::Error)?;
        let fraction = format!("{:06}", self.0 % 1_000_000);
        match fraction.trim_end_matches('0') {
            "" => f.write_str(&second),
            fraction => write!(f, "{}.{fraction}Z", second.trim_end_matches('Z')),
        }
    }
}

/// Not a moment in its one spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAMoment;

impl fmt::Display for NotAMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a time spelled like 2026-11-22T07:11:19.631019Z")
    }
}

impl std::error::Error for NotAMoment {}

impl FromStr for Moment {
    type Err = NotAMoment;

    fn from_str(text: &str) -> Result<Self, NotAMoment> {
        let (second, fraction) = match text.split_once('.') {
            None => (utc::parse(text), 0),
            Some((second, fraction)) => {
                let digits = fraction.strip_suffix('Z').ok_or(NotAMoment)?;
                if !(1..=6).contains(&digits.len()) || digits.ends_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit())
                {
                    return Err(NotAMoment);
                }
                (utc::parse(&format!("{second}Z")), format!("{digits:0<6}").parse().map_err(|_| NotAMoment)?)
            }
        };
        Ok(Self(second.ok_or(NotAMoment)? * 1_000_000 + fraction))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn one_spelling() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_790_000_000_000_001, "2026-09-21T14:13:20.000001Z"),
            (1_790_000_000_120_000, "2026-09-21T14:13:20.12Z"),
            (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(Moment::from_micros(micros).unwrap().to_string(), text);
            assert_eq!(text.parse(), Ok(Moment(micros)));
        }
        assert_eq!(Moment::from_micros(253_402_300_800_000_000), None);
        for text in [
            "2026-09-21T14:13:20.0Z",
            "2026-09-21T14:13:20.120Z",
            "2026-09-21T14:13:20.Z",
            "2026-09-21T14:13:20.1234567Z",
            "2026-09-21T14:13:20.1",
            "2026-09-21T14:13:20.+1Z",
            "2026-09-21T14:13:20Z.1Z",
            "2026-09-21T14:13:20.1+00:00",
            "",
        ] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
