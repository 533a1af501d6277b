//! Strict reading of RLP (Ethereum Yellow Paper, appendix B): one spelling a value, nothing left over.

use std::fmt;

/// The bytes are not canonical RLP, or not of the expected shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RlpError(pub &'static str);

impl fmt::Display for RlpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for RlpError {}

/// One RLP item inside a larger input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// The whole encoding, length prefix included.
    pub raw: &'a [u8],
    /// A list's encoded items, or a string's bytes.
    pub payload: &'a [u8],
    /// Whether it is a list.
    pub is_list: bool,
}

impl<'a> Item<'a> {
    /// The bytes of a string.
    ///
    /// # Errors
    /// The item is a list.
    pub fn string(&self) -> Result<&'a [u8], RlpError> {
        if self.is_list { Err(RlpError("a list where a string belongs")) } else { Ok(self.payload) }
    }

    /// A string of exactly `N` bytes.
    ///
    /// # Errors
    /// The item is a list or of another length.
    pub fn array<const N: usize>(&self) -> Result<[u8; N], RlpError> {
        self.string()?.try_into().map_err(|_| RlpError("a string of the wrong length"))
    }

    /// An unsigned integer of at most 32 bytes without leading zeros, left-padded.
    ///
    /// # Errors
    /// The item is a list, too long, or has a leading zero.
    pub fn word(&self) -> Result<[u8; 32], RlpError> {
        let bytes = self.string()?;
        if bytes.first() == Some(&0) {
            return Err(RlpError("an integer with a leading zero"));
        }
        let mut word = [0; 32];
        let start = word.len().checked_sub(bytes.len()).ok_or(RlpError("an integer of more than 32 bytes"))?;
        word[start..].copy_from_slice(bytes);
        Ok(word)
    }

    /// An unsigned integer of at most 8 bytes without leading zeros.
    ///
    /// # Errors
    /// As [`Item::word`], and for a value of 2^64 or more.
    pub fn uint(&self) -> Result<u64, RlpError> {
        let word = self.word()?;
        if word[..24].iter().any(|byte| *byte != 0) {
            return Err(RlpError("an integer of more than 64 bits"));
        }
        Ok(word[24..].iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    }

    /// The items of a list.
    ///
    /// # Errors
    /// The item is a string, or an item in it is not canonical.
    pub fn list(&self) -> Result<Vec<Item<'a>>, RlpError> {
        if !self.is_list {
            return Err(RlpError("a string where a list belongs"));
        }
        // A branch of a trie has 17 items, and most nodes are branches.
        let mut items = Vec::with_capacity(17);
        let mut rest = self.payload;
        while !rest.is_empty() {
            let (item, after) = next(rest)?;
            items.push(item);
            rest = after;
        }
        Ok(items)
    }
}

/// Reads exactly one item that is all of `bytes`.
///
/// # Errors
/// Not canonical, or something is left over.
pub fn exact(bytes: &[u8]) -> Result<Item<'_>, RlpError> {
    match next(bytes)? {
        (item, []) => Ok(item),
        _ => Err(RlpError("bytes after the end")),
    }
}

/// Reads the first item of `bytes` and returns what follows it.
///
/// # Errors
/// Not canonical, or cut off.
pub fn next(bytes: &[u8]) -> Result<(Item<'_>, &[u8]), RlpError> {
    let first = *bytes.first().ok_or(RlpError("nothing to read"))?;
    let is_list = first >= 0xc0;
    let (start, len) = match first {
        0..=0x7f => (0, 1),
        0x80..=0xb7 => (1, usize::from(first - 0x80)),
        0xb8..=0xbf => long(bytes, usize::from(first - 0xb7))?,
        0xc0..=0xf7 => (1, usize::from(first - 0xc0)),
        0xf8..=0xff => long(bytes, usize::from(first - 0xf7))?,
    };
    let end = start.checked_add(len).ok_or(RlpError("cut off"))?;
    let payload = bytes.get(start..end).ok_or(RlpError("cut off"))?;
    if first == 0x81 && payload[0] < 0x80 {
        return Err(RlpError("a small byte spelled long"));
    }
    Ok((Item { raw: &bytes[..end], payload, is_list }, &bytes[end..]))
}

fn long(bytes: &[u8], width: usize) -> Result<(usize, usize), RlpError> {
    let digits = bytes.get(1..=width).ok_or(RlpError("cut off"))?;
    if digits[0] == 0 {
        return Err(RlpError("a length with a leading zero"));
    }
    let len = digits.iter().try_fold(0_usize, |n, byte| n.checked_mul(256)?.checked_add(usize::from(*byte)));
    let len = len.ok_or(RlpError("cut off"))?;
    if len < 56 {
        return Err(RlpError("a short length spelled long"));
    }
    Ok((1 + width, len))
}

/// The RLP of an integer, in a buffer of 9 bytes of which the second value are used: the key of a transaction trie.
#[must_use]
pub fn encode_uint(value: u64) -> ([u8; 9], usize) {
    let digits = value.to_be_bytes();
    let width = (u64::BITS - value.leading_zeros()).div_ceil(8) as usize;
    let mut buffer = [0; 9];
    if (1..0x80).contains(&value) {
        buffer[0] = digits[7];
        return (buffer, 1);
    }
    buffer[0] = 0x80 + width as u8;
    buffer[1..=width].copy_from_slice(&digits[8 - width..]);
    (buffer, 1 + width)
}
