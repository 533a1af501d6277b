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

fn nibble(byte: u8) -> Result<u8, HexError> {
    match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(HexError::Character),
    }
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
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Ok(bytes)
}

pub(crate) fn decode_vec(text: &str, prefix: &str) -> Result<Vec<u8>, HexError> {
    let digits = strip(text, prefix)?;
    if digits.len() % 2 != 0 {
        return Err(HexError::Length);
    }
    digits.chunks_exact(2).map(|pair| Ok(nibble(pair[0])? << 4 | nibble(pair[1])?)).collect()
}

pub(crate) fn write(f: &mut fmt::Formatter<'_>, prefix: &str, bytes: &[u8]) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    f.write_str(prefix)?;
    let mut buffer = [0_u8; 128];
    for chunk in bytes.chunks(buffer.len() / 2) {
        for (pair, byte) in buffer.chunks_exact_mut(2).zip(chunk) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        let text = std::str::from_utf8(&buffer[..2 * chunk.len()]).map_err(|_| fmt::Error)?;
        f.write_str(text)?;
    }
    Ok(())
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
