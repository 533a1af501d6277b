//! `GET /v1/batches/{number}/tile/{level}/{index}`: the trees of sealed batches as C2SP tlog-tiles reads them.

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sceau_verifier::tile;

use super::batch::number;
use crate::api::error::{Code, Result};
use crate::api::{State, etag};
use crate::ledger::batches::Batch;

/// Bytes of a hash.
const HASH: usize = 32;

/// A tile's address inside its level: its index and, for a partial tile, its width.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
struct Address {
    index: u64,
    width: usize,
}

impl Address {
    /// Reads the index in groups of three digits, all but the last with an `x` before them (`x001/x234/067`), and
    /// `.p/W` behind it where the tile is partial. Every tile has one spelling.
    fn parse(text: &str) -> Option<Self> {
        let (groups, width) = match text.split_once(".p/") {
            None => (text, tile::WIDTH),
            Some((groups, width)) => (groups, number(width).filter(|width| (1..tile::WIDTH as u64).contains(width))? as usize),
        };
        let mut index = 0_u64;
        let (mut rest, mut first) = (groups, true);
        loop {
            let (group, more) = rest.split_once('/').map_or((rest, None), |(group, more)| (group, Some(more)));
            let digits = if more.is_some() { group.strip_prefix('x')? } else { group };
            if digits.len() != 3
                || !digits.bytes().all(|byte| byte.is_ascii_digit())
                || (first && more.is_some() && digits == "000")
            {
                return None;
            }
            index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
            match more {
                None => return Some(Self { index, width }),
                Some(more) => (rest, first) = (more, false),
            }
        }
    }
}

/// Hashes of the tile that C2SP defines: only nodes whose subtree is complete, `size / 256^level` of them. Ours also
/// keep the promoted right edge; it is cut off here.
fn complete_width(size: u64, level: u32, index: u64) -> usize {
    let nodes = size.checked_shr(8 * level).unwrap_or(0);
    nodes.saturating_sub(index.saturating_mul(tile::WIDTH as u64)).min(tile::WIDTH as u64) as usize
}

/// Public. A sealed tree never changes, so neither do its tiles: each has exactly one width.
///
/// # Errors
/// [`Code::TileUnknown`].
pub async fn tile(
    api: State,
    Path((batch, level, index)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response> {
    let batch = number(&batch).ok_or(Code::TileUnknown)?;
    let level = number(&level).and_then(|level| u8::try_from(level).ok()).filter(|level| *level < 8).ok_or(Code::TileUnknown)?;
    let address = Address::parse(&index).ok_or(Code::TileUnknown)?;
    let Some(Batch::Sealed(sealed)) = api.ledger.batch(batch).await? else { return Err(Code::TileUnknown.into()) };
    let width = complete_width(sealed.size, level.into(), address.index);
    if width == 0 || width != address.width {
        return Err(Code::TileUnknown.into());
    }
    let bytes = if u32::from(level) == tile::levels(sealed.size) {
        // 256^level leaves: the level above the stored ones has one complete node, the root.
        sealed.root.to_vec()
    } else {
        let mut bytes = api.ledger.tile(batch, level, address.index).await?.unwrap_or_default();
        if bytes.len() < width * HASH {
            return Err(Code::Internal.because(format!(
                "batch {batch}: tile {level}/{} has {} bytes",
                address.index,
                bytes.len()
            )));
        }
        bytes.truncate(width * HASH);
        bytes
    };
    let (tag, same) = etag(&bytes, &headers);
    let head = [(CACHE_CONTROL, "public, max-age=31536000, immutable".to_owned()), (ETAG, tag)];
    if same {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    Ok((head, [(CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling() {
        for (text, index, width) in [
            ("000", 0, 256),
            ("067", 67, 256),
            ("x001/067", 1067, 256),
            ("x001/x234/067", 1_234_067, 256),
            ("x001/000", 1000, 256),
            ("000.p/1", 0, 1),
            ("x001/067.p/255", 1067, 255),
        ] {
            assert_eq!(Address::parse(text), Some(Address { index, width }), "{text}");
        }
        for text in [
            "",
            "0",
            "67",
            "0067",
            "x067",
            "001/067",
            "x000/067",
            "x001/x067",
            "x001/67",
            "X001/067",
            "x001//067",
            "/067",
            "067/",
            "067.p/0",
            "067.p/256",
            "067.p/01",
            "067.p/",
            "067.p",
            "+67",
            "-67",
            "x999/x999/x999/x999/x999/x999/x999/999",
            "067.p/1.p/1",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_complete_subtrees_count() {
        for (size, level, index, width) in [
            (2, 0, 0, 2),
            (256, 0, 0, 256),
            (256, 0, 1, 0),
            (256, 1, 0, 1),
            (257, 0, 1, 1),
            (257, 1, 0, 1),
            (511, 1, 0, 1),
            (512, 1, 0, 2),
            (65_536, 1, 0, 256),
            (65_536, 2, 0, 1),
            (65_537, 1, 1, 0),
            (u64::MAX, 7, 0, 255),
        ] {
            assert_eq!(complete_width(size, level, index), width, "size {size}, level {level}, index {index}");
        }
    }
}
