//! The faces of a certificate, shaping and measuring.
//!
//! Two fonts are built in: Libertinus Serif, and DejaVu Sans Mono for digests and for what Libertinus lacks. A character
//! that neither has must not get here: [`covers`] tells, and a certificate with a missing glyph is refused as a whole.

use std::sync::OnceLock;

use krilla::text::{Font, GlyphId, KrillaGlyph};
use rustybuzz::{Direction, UnicodeBuffer};

/// A face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Face {
    /// Running text.
    Regular,
    /// Remarks and labels.
    Italic,
    /// Headings and values that matter.
    Bold,
    /// Digests, addresses, commands.
    Mono,
}

const FILES: [&[u8]; 4] = [
    include_bytes!("../fonts/LibertinusSerif-Regular.otf"),
    include_bytes!("../fonts/LibertinusSerif-Italic.otf"),
    include_bytes!("../fonts/LibertinusSerif-Bold.otf"),
    include_bytes!("../fonts/DejaVuSansMono.ttf"),
];

struct Loaded {
    shaper: rustybuzz::Face<'static>,
    font: Font,
}

fn loaded(face: Face) -> &'static Loaded {
    static FACES: OnceLock<[Loaded; 4]> = OnceLock::new();
    let faces = FACES.get_or_init(|| {
        FILES.map(|bytes| Loaded {
            shaper: rustybuzz::Face::from_slice(bytes, 0).expect("a font that is built in"),
            font: Font::new(bytes.into(), 0).expect("a font that is built in"),
        })
    });
    &faces[face as usize]
}

fn has(face: Face, character: char) -> bool {
    loaded(face).shaper.glyph_index(character).is_some()
}

/// Whether `character` can be drawn in `face` or, failing that, in the mono face.
#[must_use]
pub fn covers(face: Face, character: char) -> bool {
    has(face, character) || has(Face::Mono, character)
}

/// Text with its glyphs in one face; widths are of size 1.
#[derive(Debug, Clone)]
pub struct Part {
    /// The font.
    pub font: Font,
    /// What the glyphs say.
    pub text: String,
    /// The glyphs.
    pub glyphs: Vec<KrillaGlyph>,
    /// Sum of the advances.
    pub width: f32,
}

/// A line of text, left to right.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Its parts in order.
    pub parts: Vec<Part>,
}

impl Run {
    /// Width at size 1.
    #[must_use]
    pub fn width(&self) -> f32 {
        self.parts.iter().map(|part| part.width).sum()
    }

    /// Number of spaces: where a line may be stretched.
    #[must_use]
    pub fn spaces(&self) -> usize {
        self.parts.iter().flat_map(|part| part.text.chars()).filter(|character| *character == ' ').count()
    }

    /// Adds `extra` (at size 1) to every space.
    pub fn stretch(&mut self, extra: f32) {
        for part in &mut self.parts {
            for glyph in &mut part.glyphs {
                if &part.text[glyph.text_range.clone()] == " " {
                    glyph.x_advance += extra;
                    part.width += extra;
                }
            }
        }
    }
}

/// Shapes `text`, with `tracking` (at size 1) added after every glyph.
#[must_use]
pub fn shape(text: &str, face: Face, tracking: f32) -> Run {
    let mut run = Run::default();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let own = has(face, first);
        // A combining mark stays with what it stands on as long as that face has it.
        let end = rest.char_indices().find(|(_, character)| has(face, *character) != own).map_or(rest.len(), |(at, _)| at);
        let (part, after) = rest.split_at(end);
        run.parts.push(shape_part(part, if own { face } else { Face::Mono }, tracking));
        rest = after;
    }
    run
}

fn shape_part(text: &str, face: Face, tracking: f32) -> Part {
    let Loaded { shaper, font } = loaded(face);
    let em = font.units_per_em();
    let mut buffer = UnicodeBuffer::new();
    buffer.push_str(text);
    buffer.guess_segment_properties();
    buffer.set_direction(Direction::LeftToRight);
    // Letters that are spread out do not touch, so they form no ligatures.
    let features = if tracking > 0.0 {
        vec![rustybuzz::Feature::new(rustybuzz::ttf_parser::Tag::from_bytes(b"liga"), 0, ..)]
    } else {
        vec![]
    };
    let shaped = rustybuzz::shape(shaper, &features, buffer);
    let (infos, positions) = (shaped.glyph_infos(), shaped.glyph_positions());
    let mut width = 0.0;
    let glyphs = infos
        .iter()
        .zip(positions)
        .enumerate()
        .map(|(at, (info, position))| {
            let start = info.cluster as usize;
            let end = infos[at..].iter().map(|next| next.cluster as usize).find(|next| *next != start).unwrap_or(text.len());
            // Between letters that are spread out, kerning only closes: a gap more and readers of the text see two words.
            let nominal = shaper.glyph_hor_advance(rustybuzz::ttf_parser::GlyphId(info.glyph_id as u16)).map(f32::from);
            let kerned = position.x_advance as f32;
            let kerned = if tracking > 0.0 { kerned.min(nominal.unwrap_or(kerned)) } else { kerned };
            let advance = kerned / em + tracking;
            width += advance;
            KrillaGlyph::new(
                GlyphId::new(info.glyph_id),
                advance,
                position.x_offset as f32 / em,
                position.y_offset as f32 / em,
                0.0,
                start..end,
                None,
            )
        })
        .collect();
    Part { font: font.clone(), text: text.into(), glyphs, width }
}

/// Breaks `text` into lines no wider than `width` at `size`: at spaces, and inside words that are too long.
#[must_use]
pub fn lines(text: &str, face: Face, size: f32, width: f32) -> Vec<String> {
    let measure = |text: &str| shape(text, face, 0.0).width() * size;
    let space = measure(" ");
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0.0);
    for word in text.split(' ') {
        let mut word = word.to_owned();
        let mut wide = measure(&word);
        if !line.is_empty() {
            if used + space + wide <= width {
                line.push(' ');
                line.push_str(&word);
                used += space + wide;
                continue;
            }
            lines.push(std::mem::take(&mut line));
        }
        while wide > width {
            let head = fitting(&word, width, &measure);
            let tail = word.split_off(head);
            lines.push(word);
            word = tail;
            wide = measure(&word);
        }
        (line, used) = (word, wide);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// Bytes of the longest head of `word` that fits, at least one character with its marks.
fn fitting(word: &str, width: f32, measure: &dyn Fn(&str) -> f32) -> usize {
    let ends = word.char_indices().skip(1).filter(|(_, character)| !mark(*character)).map(|(at, _)| at);
    let ends: Vec<usize> = ends.collect();
    let within = ends.partition_point(|end| measure(&word[..*end]) <= width);
    ends.get(within.saturating_sub(1)).copied().unwrap_or(word.len())
}

/// Combining marks of the scripts that are drawn.
#[must_use]
pub fn mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20f0}')
}
