//! Drawing: fonts, shapes, ornaments, and the PDF they become. Knows nothing of proofs.

pub mod font;
pub mod ornament;
pub mod paint;
pub mod sheet;
