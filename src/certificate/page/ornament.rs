//! Drawn ornaments: frame, seal, QR code, watermark.

use std::f32::consts::TAU;

use krilla::geom::{Path, PathBuilder, Rect};
use qrcode::{EcLevel, QrCode};

use super::font::Face;
use super::sheet::{Color, GREY, HAIR, HEIGHT, INK, NAVY, NodeId, PAPER, RED, Shape, Sheet, Style, WIDTH};

/// White modules around a QR code (ISO/IEC 18004 §6.3.8).
const QUIET: f32 = 4.0;

/// The double frame around a page.
pub fn frame(sheet: &mut Sheet) {
    for (inset, width) in [(26.0, 1.1), (30.0, 0.35)] {
        rectangle(sheet, inset, inset, WIDTH - 2.0 * inset, HEIGHT - 2.0 * inset, NAVY, width);
    }
    for x in [28.0, WIDTH - 28.0] {
        for y in [28.0, HEIGHT - 28.0] {
            let side = 9.0;
            block(sheet, x - side / 2.0, y - side / 2.0, side, side, PAPER);
            rectangle(sheet, x - side / 2.0, y - side / 2.0, side, side, NAVY, 0.8);
            block(sheet, x - 1.6, y - 1.6, 3.2, 3.2, NAVY);
        }
    }
}

/// An outlined rectangle.
pub fn rectangle(sheet: &mut Sheet, x: f32, y: f32, width: f32, height: f32, color: Color, line: f32) {
    if let Some(path) = boxed(&[(x, y, width, height)]) {
        sheet.draw(None, Shape::Stroke(path, color, line));
    }
}

/// A filled rectangle.
pub fn block(sheet: &mut Sheet, x: f32, y: f32, width: f32, height: f32, color: Color) {
    if let Some(path) = boxed(&[(x, y, width, height)]) {
        sheet.draw(None, Shape::Fill(path, color));
    }
}

/// A horizontal line.
pub fn rule(sheet: &mut Sheet, x: f32, y: f32, width: f32, color: Color, line: f32) {
    let mut path = PathBuilder::new();
    path.move_to(x, y);
    path.line_to(x + width, y);
    if let Some(path) = path.finish() {
        sheet.draw(None, Shape::Stroke(path, color, line));
    }
}

fn boxed(boxes: &[(f32, f32, f32, f32)]) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (x, y, width, height) in boxes {
        path.push_rect(Rect::from_xywh(*x, *y, *width, *height)?);
    }
    path.finish()
}

/// The closed curve at the distances `radius(angle)` from a point.
fn curve(x: f32, y: f32, steps: u16, radius: impl Fn(f32) -> f32) -> Option<Path> {
    let mut path = PathBuilder::new();
    for step in 0..steps {
        let angle = TAU * f32::from(step) / f32::from(steps);
        let (to_x, to_y) = (x + radius(angle) * angle.cos(), y + radius(angle) * angle.sin());
        if step == 0 { path.move_to(to_x, to_y) } else { path.line_to(to_x, to_y) }
    }
    path.close();
    path.finish()
}

/// The seal: whole and red when `sealed`, an empty outline before. Its rosette follows the first bytes of the digest, so
/// that two certificates differ at a glance.
pub fn seal(sheet: &mut Sheet, x: f32, y: f32, radius: f32, digest: &[u8; 32], sealed: bool) {
    let (lines, edge) = if sealed { (PAPER, RED) } else { (HAIR, HAIR) };
    let wave = |angle: f32| radius * (1.0 + 0.022 * (36.0 * angle).cos());
    if let Some(path) = curve(x, y, 720, wave) {
        sheet.draw(None, if sealed { Shape::Fill(path, RED) } else { Shape::Stroke(path, edge, 0.9) });
    }
    for (part, width) in [(0.93, 0.9), (0.89, 0.35), (0.55, 0.35), (0.51, 0.9)] {
        if let Some(path) = curve(x, y, 180, |_| radius * part) {
            sheet.draw(None, Shape::Stroke(path, lines, width));
        }
    }
    let lobes = f32::from(12 + digest[0] % 7);
    for (turn, byte) in digest[1..6].iter().enumerate() {
        let phase = TAU * (turn as f32 / 5.0 + f32::from(*byte) / 2560.0);
        let rosette = |angle: f32| radius * (0.72 + 0.15 * (lobes * angle + phase).sin());
        if let Some(path) = curve(x, y, 900, rosette) {
            sheet.draw(None, Shape::Stroke(path, lines, 0.3));
        }
    }
    let style = Style::new(Face::Bold, radius * 0.86, lines);
    sheet.centred(None, x, y + radius * 0.285, style, "S");
}

/// A QR code with its quiet zone in the square at (`x`, `y`). `None` when `text` is too long for one.
pub fn code(sheet: &mut Sheet, node: NodeId, x: f32, y: f32, side: f32, text: &str) -> Option<()> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let width = code.width();
    let module = side / (width as f32 + 2.0 * QUIET);
    let mut boxes = Vec::new();
    for (row, modules) in code.to_colors().chunks(width).enumerate() {
        let mut at = 0;
        for run in modules.chunk_by(|one, next| one == next) {
            if run[0] == qrcode::Color::Dark {
                let (left, top) = (x + (QUIET + at as f32) * module, y + (QUIET + row as f32) * module);
                // A little over the next row, so that no reader sees a gap.
                boxes.push((left, top, run.len() as f32 * module, module * 1.03));
            }
            at += run.len();
        }
    }
    sheet.draw(Some(node), Shape::Fill(boxed(&boxes)?, INK));
    Some(())
}

/// Large pale letters across the page, behind everything.
pub fn watermark(sheet: &mut Sheet, text: &str) {
    const PALE: Color = Color(0xf4, 0xe2, 0xe3);
    const TURN: f32 = -52.0;
    let style = Style::new(Face::Bold, 62.0, PALE).tracked(0.06);
    let run = style.run(text);
    let length = run.width() * style.size;
    let size = style.size * (800.0 / length).min(1.0);
    let length = length * size / style.size;
    let (sine, cosine) = TURN.to_radians().sin_cos();
    let (x, y) = (WIDTH / 2.0 - length / 2.0 * cosine + 14.0, HEIGHT / 2.0 - length / 2.0 * sine + 14.0);
    sheet.draw(None, Shape::Text { x, y, run, size, color: PALE, turned: TURN });
}

/// A framed band with one line of large letters, in white on `color`.
pub fn band(sheet: &mut Sheet, node: NodeId, y: f32, height: f32, color: Color, text: &str) {
    let (x, width) = (64.0, WIDTH - 128.0);
    block(sheet, x, y, width, height, color);
    rectangle(sheet, x + 2.2, y + 2.2, width - 4.4, height - 4.4, PAPER, 0.4);
    let mut style = Style::new(Face::Bold, height * 0.46, PAPER).tracked(0.045);
    let wide = style.run(text).width() * style.size;
    style.size *= ((width - 24.0) / wide).min(1.0);
    sheet.centred(Some(node), WIDTH / 2.0, y + height / 2.0 + style.size * 0.33, style, text);
}

/// A small caption under an ornament.
pub fn caption(sheet: &mut Sheet, node: Option<NodeId>, x: f32, y: f32, text: &str) {
    sheet.centred(node, x, y, Style::new(Face::Italic, 7.5, GREY), text);
}
