//! Texts of others made fit to print: a name shows what it is, whoever chose it.

use super::page::font::{Face, covers, mark};

/// Marks on one letter at most; more are for disturbing the lines around it.
const MOST_MARKS: usize = 2;

/// `text` with everything that would not be seen, or would change how the rest is seen, written as `[U+XXXX]`: controls,
/// line ends, bidirectional and other format characters, unusual spaces, space at the ends, marks that stand on nothing or
/// pile up, right-to-left scripts, and whatever the built-in fonts lack. The answer tells different texts apart.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let (mut marks, mut base) = (0, false);
    let last = text.chars().count().saturating_sub(1);
    for (at, character) in text.chars().enumerate() {
        let plain = if mark(character) {
            marks += 1;
            base && marks <= MOST_MARKS && drawable(character)
        } else {
            marks = 0;
            base = character.is_alphanumeric();
            match character {
                ' ' => at != 0 && at != last,
                // What an escape looks like is one.
                '[' => !text.chars().skip(at + 1).take(2).eq("U+".chars()),
                _ => visible(character) && drawable(character),
            }
        };
        if plain {
            shown.push(character);
        } else {
            base = false;
            shown.push_str(&format!("[U+{:04X}]", u32::from(character)));
        }
    }
    shown
}

/// Letters of a document's name that a certificate's file name takes over.
const MOST_LETTERS: usize = 80;

/// `text` as a part of a file name, in whatever script: without what paths are made of, without controls, and without what
/// hides or turns the direction of writing. No dots or spaces at the ends.
#[must_use]
pub fn file_stem(text: &str) -> String {
    let plain = |character: char| !(character.is_control() || "/\\:*?\"<>|".contains(character) || hidden(character));
    let kept: String = text.chars().map(|character| if plain(character) { character } else { '_' }).collect();
    let kept: String = kept.trim_matches(['.', ' ']).chars().take(MOST_LETTERS).collect();
    kept.trim_end_matches(['.', ' ']).into()
}

/// Format characters, unusual spaces, private use, tags and noncharacters.
fn hidden(character: char) -> bool {
    matches!(character,
        '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{1680}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{3000}'
        | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}' | '\u{e0000}'..='\u{10ffff}')
}

/// Whether every face that shows texts of others has it, by itself or from the mono face.
fn drawable(character: char) -> bool {
    [Face::Regular, Face::Italic, Face::Bold].into_iter().all(|face| covers(face, character))
}

/// Blocks of characters that show themselves and run from left to right. A list of what is allowed, so that nothing
/// invisible can be forgotten.
fn visible(character: char) -> bool {
    matches!(character,
        '!'..='~'
        | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{24f}' // Latin without NBSP and soft hyphen
        | '\u{250}'..='\u{2ff}'
        | '\u{370}'..='\u{482}' | '\u{48a}'..='\u{52f}' // Greek, Cyrillic
        | '\u{531}'..='\u{58f}' // Armenian
        | '\u{10a0}'..='\u{10ff}' // Georgian
        | '\u{1e00}'..='\u{1fff}' // Latin and Greek with marks
        | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' // dashes, quotes
        | '\u{2070}'..='\u{209c}' | '\u{20a0}'..='\u{20bf}'
        | '\u{2100}'..='\u{218b}' | '\u{2190}'..='\u{22ff}' // letter-like, numbers, arrows, mathematics
        | '\u{2460}'..='\u{27bf}' // enclosed, boxes, symbols
    )
}

#[cfg(test)]
mod tests {
    use super::{file_stem, printable};
    use crate::certificate::page::font::{Face, shape};
    use proptest::prelude::*;

    #[test]
    fn names_are_shown_as_they_are_or_told() {
        for same in [
            "Contrat de prêt n° 12 — état « définitif ».pdf",
            "Œuvre d’été.pdf",
            "Договор.pdf",
            "Σύμβαση.pdf",
            "e\u{301}té.pdf",
            "a [b] c",
        ] {
            assert_eq!(printable(same), same);
        }
        for (given, shown) in [
            ("facture\u{202e}fdp.exe", "facture[U+202E]fdp.exe"),
            ("a\nb\tc", "a[U+000A]b[U+0009]c"),
            (" a ", "[U+0020]a[U+0020]"),
            ("a\u{a0}b\u{200b}c\u{feff}", "a[U+00A0]b[U+200B]c[U+FEFF]"),
            ("契約.pdf", "[U+5951][U+7D04].pdf"),
            ("חוזה", "[U+05D7][U+05D5][U+05D6][U+05D4]"),
            ("[U+202E]", "[U+005B]U+202E]"),
            ("\u{301}a", "[U+0301]a"),
            ("a\u{301}\u{302}\u{303}", "a\u{301}\u{302}[U+0303]"),
            ("🧾", "[U+1F9FE]"),
        ] {
            assert_eq!(printable(given), shown);
        }
    }

    #[test]
    fn file_names_keep_every_script_and_no_path() {
        for (given, kept) in [
            ("État « définitif ».pdf", "État « définitif ».pdf"),
            ("契約 חוזה.pdf", "契約 חוזה.pdf"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("C:\\a\"b", "C__a_b"),
            ("a\r\nb\u{202e}c\u{200b}d", "a__b_c_d"),
            (" . ", ""),
        ] {
            assert_eq!(file_stem(given), kept);
        }
        assert_eq!(file_stem(&"é".repeat(255)).chars().count(), 80);
    }

    fn read(shown: &str) -> String {
        let mut text = String::new();
        let mut rest = shown;
        while let Some(first) = rest.chars().next() {
            if let Some(escape) = rest.strip_prefix("[U+") {
                let (hex, after) = escape.split_once(']').unwrap();
                text.push(char::from_u32(u32::from_str_radix(hex, 16).unwrap()).unwrap());
                rest = after;
            } else {
                text.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        text
    }

    proptest! {
        #[test]
        fn every_text_can_be_drawn_and_read_back(text in prop_oneof![any::<String>(), "[a-zé\\[\\]U+0-9 \u{300}-\u{310}\u{2000}-\u{2070}]{0,20}"]) {
            let shown = printable(&text);
            prop_assert_eq!(read(&shown), text);
            for face in [Face::Regular, Face::Italic, Face::Bold] {
                for part in shape(&shown, face, 0.0).parts {
                    prop_assert!(part.glyphs.iter().all(|glyph| glyph.glyph_id.to_u32() != 0), "{shown:?} in {face:?}");
                }
            }
        }
    }

    #[test]
    fn every_character_that_is_shown_has_a_glyph() {
        for character in ('\0'..='\u{ffff}').filter(|character| super::visible(*character)) {
            let shown = printable(&format!("a{character}a"));
            for face in [Face::Regular, Face::Italic, Face::Bold] {
                let glyphs: Vec<_> = shape(&shown, face, 0.0).parts.into_iter().flat_map(|part| part.glyphs).collect();
                assert!(glyphs.iter().all(|glyph| glyph.glyph_id.to_u32() != 0), "U+{:04X} in {face:?}", u32::from(character));
            }
        }
    }
}
