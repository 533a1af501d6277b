//! The act: which texts stand where.

mod facts;
mod flow;

use sceau_verifier::BatchHeader;

use self::flow::{BODY, Flow, MARGIN, MEASURE, REMARK};
use super::page::font::Face;
use super::page::ornament;
use super::page::sheet::{Color, GREY, HEIGHT, INK, NAVY, RED, Role, Sheet, Style, WIDTH};
use super::words::{Words, fill};
use super::{Certificate, Stage, chain};

/// Colour of a status that is not final.
const AMBER: Color = Color(0x9a, 0x5b, 0x0c);

/// Composes all pages; `None` when the QR code's text is too long.
pub fn compose(certificate: &Certificate<'_>, words: &'static Words, header: Option<&BatchHeader>) -> Option<Sheet> {
    let mark = if certificate.is_held() { Some(words.not_registered) } else { certificate.is_test().then_some(words.test_mark) };
    let mut flow = Flow::new(64.0, mark);
    head(&mut flow, certificate, words)?;
    standing(&mut flow, certificate, words);
    facts::document(&mut flow, certificate, words);
    facts::deposit(&mut flow, certificate, words, header);
    facts::anchors(&mut flow, certificate, words);
    facts::validations(&mut flow, certificate, words);
    meaning(&mut flow, certificate, words);
    let mut sheet = flow.sheet;
    foot(&mut sheet, certificate, words);
    Some(sheet)
}

/// Seal, title, QR code.
fn head(flow: &mut Flow, certificate: &Certificate<'_>, words: &Words) -> Option<()> {
    let done = certificate.is_final();
    let which = certificate.kind();
    let (top, side) = (52.0, 82.0);
    let title = flow.sheet.node(Role::Heading(1, words.titles[which].into()), None);
    let (middle, width) = (WIDTH / 2.0, MEASURE - 2.0 * side - 16.0);
    let mut y = top + 26.0;
    for line in broken(words.titles[which]) {
        let mut style = Style::new(Face::Bold, 21.0, NAVY).tracked(0.045);
        style.size *= (width / (style.run(line).width() * style.size)).min(1.0);
        flow.sheet.centred(Some(title), middle, y, style, &format!("{line} "));
        y += 25.0;
    }
    y -= 9.0;
    let subtitle = flow.sheet.node(Role::Paragraph, None);
    let style = Style::new(Face::Italic, 10.2, GREY);
    for line in super::page::font::lines(words.subtitles[which], style.face, style.size, width) {
        flow.sheet.centred(Some(subtitle), middle, y, style, &format!("{line} "));
        y += 13.0;
    }
    let radius = side / 2.0 - 3.0;
    ornament::seal(
        &mut flow.sheet,
        MARGIN + side / 2.0 - 2.0,
        top + side / 2.0,
        radius,
        certificate.digest.as_bytes(),
        done && !certificate.is_test(),
    );
    let x = WIDTH - MARGIN - side;
    let figure = flow.sheet.node(Role::Figure(fill(words.code_alt, &[("url", certificate.verify_url)])), None);
    ornament::code(&mut flow.sheet, figure, x + 4.0, top - 2.0, side, certificate.verify_url)?;
    ornament::caption(&mut flow.sheet, None, x + 4.0 + side / 2.0, top + side + 4.0, words.captions[1]);
    flow.y = top + side + 16.0;
    Some(())
}

/// A title in two lines, at the space nearest to its middle.
fn broken(title: &str) -> Vec<&str> {
    let half = title.len() / 2;
    let at = title.match_indices(' ').map(|(at, _)| at).min_by_key(|at| at.abs_diff(half));
    at.map_or_else(|| vec![title], |at| vec![&title[..at], &title[at + 1..]])
}

/// What is proven, or what is missing for that, in large letters.
fn standing(flow: &mut Flow, certificate: &Certificate<'_>, words: &Words) {
    if certificate.is_test() {
        band(flow, RED, words.test[0]);
        flow.centred(Style::new(Face::Italic, 9.6, RED), words.test[1], MEASURE - 20.0, 5.0);
    }
    if let Some(anchor) = certificate.proof() {
        let (number, time) = (words.number(anchor.block_number), words.second(anchor.block_time));
        let chain = facts::chain_name(anchor.chain.id(), words);
        let statement = if certificate.is_test() { words.test_statement } else { words.statement };
        let text = fill(statement, &[("number", &number), ("time", &time), ("chain", &chain)]);
        flow.y += 4.0;
        flow.paragraph(Style::new(Face::Regular, 12.2, INK), &text, 2.0);
        return;
    }
    let by = words.moment(certificate.anchor_by);
    let (status, values) = match certificate.stage {
        Stage::AwaitingValidation(needed) => {
            let have = certificate.decisions.iter().filter(|decision| decision.approved).count();
            (words.awaiting, vec![("have", have.to_string()), ("needed", needed.to_string())])
        }
        Stage::Refused => (words.refused, vec![]),
        Stage::Pending(_) => (words.pending, vec![("by", by)]),
        Stage::Sealed(_) => match certificate.anchors().first() {
            None => (words.sealed, vec![("by", by)]),
            Some(anchor) => {
                let chain = facts::chain_name(anchor.chain.id(), words);
                (words.anchored, vec![("number", words.number(anchor.block_number)), ("chain", chain)])
            }
        },
    };
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    if certificate.is_held() {
        let color = if matches!(certificate.stage, Stage::Refused) { RED } else { AMBER };
        band(flow, color, words.not_registered);
        flow.centred(Style::new(Face::Bold, 14.0, color).tracked(0.045), status[0], MEASURE, 5.0);
    } else {
        band(flow, AMBER, status[0]);
    }
    let as_of = fill(words.as_of, &[("time", &words.moment(certificate.as_of))]);
    flow.paragraph(Style::new(Face::Regular, 11.4, INK), &format!("{} {as_of}", fill(status[1], &values)), 2.0);
}

fn band(flow: &mut Flow, color: Color, text: &str) {
    let node = flow.sheet.node(Role::Paragraph, None);
    ornament::band(&mut flow.sheet, node, flow.y, 32.0, color, text);
    flow.y += 38.0;
}

/// What it proves, what it does not, and how to check it.
fn meaning(flow: &mut Flow, certificate: &Certificate<'_>, words: &Words) {
    let sections = &words.sections;
    if let Some(anchor) = certificate.proof() {
        // Both articles together, on a page of their own if need be.
        flow.article(sections.scope, 330.0);
        let validated = (!certificate.decisions.is_empty()).then_some(words.not_proven_of_validators);
        let not_proven: Vec<&str> = words.not_proven.iter().copied().chain(validated).collect();
        flow.columns([(sections.proven, "+", words.proven), (sections.not_proven, "–", &not_proven)]);
        flow.article(sections.check, 90.0);
        let (before, after) = words.check.split_at(1);
        flow.paragraph(BODY, before[0], 1.0);
        flow.command(&[
            format!("sceau-verify {} {} \\", words.files[0], words.files[1]),
            format!("  --chain {} --registry {} \\", anchor.chain, anchor.registry),
            format!("  --block-hash {}", anchor.block_hash),
        ]);
        for text in after {
            flow.paragraph(BODY, text, 3.0);
        }
    } else if certificate.is_held() {
        flow.article(sections.next, 40.0);
        for text in words.next[usize::from(matches!(certificate.stage, Stage::Refused))] {
            flow.paragraph(BODY, text, 3.0);
        }
    } else {
        flow.article(sections.check, 40.0);
        for text in words.check_later {
            flow.paragraph(BODY, text, 3.0);
        }
    }
    let caveat = match certificate.stage {
        Stage::Sealed(_) => words.caveat,
        _ => words.no_attachment[usize::from(certificate.is_held())],
    };
    flow.paragraph(Style::new(Face::Bold, 10.2, NAVY), caveat, 4.0);
    if facts::shown(certificate).any(|text| text.contains("[U+")) {
        flow.paragraph(REMARK, words.escaped, 0.0);
    }
}

/// Digest and page number on every page.
fn foot(sheet: &mut Sheet, certificate: &Certificate<'_>, words: &Words) {
    let pages = sheet.pages.len();
    let all = std::mem::take(&mut sheet.pages);
    for (at, page) in all.into_iter().enumerate() {
        sheet.pages.push(page);
        let y = HEIGHT - 54.0;
        ornament::rule(sheet, MARGIN, y - 10.0, MEASURE, NAVY, 0.5);
        sheet.text(None, MARGIN, y, Style::new(Face::Mono, 6.6, GREY), &format!("SHA-256 {}", certificate.digest));
        let number = fill(words.page, &[("page", &(at + 1).to_string()), ("pages", &pages.to_string())]);
        let style = Style::new(Face::Italic, 8.4, GREY);
        let run = style.run(&number);
        let x = WIDTH - MARGIN - run.width() * style.size;
        sheet.line(None, x, y, style, run);
        if certificate.is_test() {
            sheet.centred(None, WIDTH / 2.0, y + 12.0, Style::new(Face::Bold, 7.6, RED).tracked(0.045), words.test[0]);
        }
    }
}

/// Whether the chain is a test network, for a row.
fn tested(id: u64) -> bool {
    chain::is_test(id)
}
