//! Strict lower-case hexadecimal, the only spelling a receipt may use.

use std::fmt;

/// Why a text is not the hexadecimal that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HexError {
    /// The text has the wrong number of characters.
    Length,
    /// A character outside `0-9a-f`.
    Character,
    /// `0x` is missing.
    Prefix,
}

impl fmt::Display for HexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "hex text of the wrong length",
            Self::Character => "not lower-case hex",
            Self::Prefix => "hex text without 0x",
        })
    }
}

impl std::error::Error for HexError {}

/// What a digit is worth; 16 for what is none.
const fn worth(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => 16,
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The two digits of each byte.
const PAIRS: [[u8; 2]; 256] = {
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Writes the bytes that `digits`, twice as many, spell. Sixteen at a time: compilers reckon so many at once.
fn decode(digits: &[u8], bytes: &mut [u8]) -> Result<(), HexError> {
    // What is no digit is looked for at the end: a branch less for every byte of a long text.
    let mut seen = 0;
    let (blocks, rest) = bytes.as_chunks_mut::<16>();
    let (digits, last) = digits.split_at(32 * blocks.len());
    for (block, digits) in blocks.iter_mut().zip(digits.as_chunks::<32>().0) {
        let mut values = [0; 32];
        for (value, digit) in values.iter_mut().zip(digits) {
            *value = worth(*digit);
        }
        for (byte, [high, low]) in block.iter_mut().zip(values.as_chunks::<2>().0) {
            *byte = high << 4 | low;
        }
        seen = values.iter().fold(seen, |seen, value| seen | value);
    }
    for (byte, pair) in rest.iter_mut().zip(last.as_chunks::<2>().0) {
        let (high, low) = (worth(pair[0]), worth(pair[1]));
        seen |= high | low;
        *byte = high << 4 | low;
    }
    if seen < 16 { Ok(()) } else { Err(HexError::Character) }
}

fn strip<'a>(text: &'a str, prefix: &str) -> Result<&'a [u8], HexError> {
    Ok(text.strip_prefix(prefix).ok_or(HexError::Prefix)?.as_bytes())
}

pub(crate) fn decode_array<const N: usize>(text: &str, prefix: &str) -> Result<[u8; N], HexError> {
    let digits = strip(text, prefix)?;
    if digits.len() != 2 * N {
        return Err(HexError::Length);
    }
    let mut bytes = [0; N];
    decode(digits, &mut bytes)?;
    Ok(bytes)
}

pub(crate) fn decode_vec(text: &str, prefix: &str) -> Result<Vec<u8>, HexError> {
    let digits = strip(text, prefix)?;
    if digits.len() % 2 != 0 {
        return Err(HexError::Length);
    }
    let mut bytes = vec![0; digits.len() / 2];
    decode(digits, &mut bytes)?;
    Ok(bytes)
}

pub(crate) fn write(f: &mut fmt::Formatter<'_>, prefix: &str, bytes: &[u8]) -> fmt::Result {
    f.write_str(prefix)?;
    let mut buffer = [0_u8; 512];
    for chunk in bytes.chunks(buffer.len() / 2) {
        for (pair, byte) in buffer.as_chunks_mut::<2>().0.iter_mut().zip(chunk) {
            *pair = PAIRS[usize::from(*byte)];
        }
        let text = std::str::from_utf8(&buffer[..2 * chunk.len()]).map_err(|_| fmt::Error)?;
        f.write_str(text)?;
    }
    Ok(())
}

/// Appends the digits of `bytes`.
pub(crate) fn append(text: &mut Vec<u8>, bytes: &[u8]) {
    let start = text.len();
    text.resize(start + 2 * bytes.len(), 0);
    for (pair, byte) in text[start..].as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = PAIRS[usize::from(*byte)];
    }
}

/// Whether `digits`, twice as many, are those of `bytes`.
pub(crate) fn spells(digits: &[u8], bytes: &[u8]) -> bool {
    // Looked at in the end only: a branch less for every byte of a long text.
    let mut differs = 0;
    for (pair, byte) in digits.as_chunks::<2>().0.iter().zip(bytes) {
        differs |= u16::from_ne_bytes(*pair) ^ u16::from_ne_bytes(PAIRS[usize::from(*byte)]);
    }
    differs == 0
}

/// Reads any type that parses from text out of a JSON string, borrowed or escaped.
pub(crate) struct TextVisitor<T>(pub(crate) &'static str, pub(crate) std::marker::PhantomData<T>);

impl<T> serde::de::Visitor<'_> for TextVisitor<T>
where
    T: std::str::FromStr,
    T::Err: fmt::Display,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// `Display`, `Debug` and serde (as that text) for a type that has `FromStr` and a private `write` method.
macro_rules! text_form {
    ($name:ident, $expecting:literal) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str($crate::hex::TextVisitor($expecting, std::marker::PhantomData))
            }
        }
    };
}

/// A fixed number of bytes spelled in strict hexadecimal with a fixed prefix.
macro_rules! fixed_hex {
    ($(#[$doc:meta])* $name:ident, $size:literal, $prefix:literal, $expecting:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $size]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $size;
            /// All bytes zero.
            pub const ZERO: Self = Self([0; $size]);

            /// The bytes themselves.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $size] {
                &self.0
            }
        }

        impl From<[u8; $size]> for $name {
            fn from(bytes: [u8; $size]) -> Self {
                Self(bytes)
            }
        }

        impl From<$name> for [u8; $size] {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = std::array::TryFromSliceError;

            fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
                bytes.try_into().map(Self)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::hex::write(f, $prefix, &self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::hex::HexError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::hex::decode_array(text, $prefix).map(Self)
            }
        }

        $crate::hex::text_form!($name, $expecting);
    };
}

pub(crate) use {fixed_hex, text_form};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_is_written_read_and_recognised() {
        for length in 0..70_u8 {
            let bytes: Vec<u8> = (0..length).map(|place| place.wrapping_mul(37) ^ length).collect();
            let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let mut written = Vec::new();
            append(&mut written, &bytes);
            assert_eq!(written, text.as_bytes());
            assert_eq!(decode_vec(&text, ""), Ok(bytes.clone()));
            assert!(spells(text.as_bytes(), &bytes));
        }
    }

    #[test]
    fn every_character_counts_at_every_place() {
        // Two blocks and three bytes.
        let bytes: Vec<u8> = (0..35).map(|place: u8| place.wrapping_mul(91)).collect();
        let text: Vec<u8> = bytes.iter().flat_map(|byte| PAIRS[usize::from(*byte)]).collect();
        for place in 0..text.len() {
            for character in 0..=u8::MAX {
                let mut other = text.clone();
                other[place] = character;
                assert_eq!(spells(&other, &bytes), other == text, "{character} at {place}");
                let mut read = vec![0; bytes.len()];
                let expected = if DIGITS.contains(&character) { Ok(()) } else { Err(HexError::Character) };
                assert_eq!(decode(&other, &mut read), expected, "{character} at {place}");
                assert!(expected.is_err() || spells(&other, &read), "{character} at {place}");
            }
        }
    }
}
