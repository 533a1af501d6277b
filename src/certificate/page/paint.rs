//! From a sheet to PDF/A-3a and PDF/UA-1, by `krilla`, which refuses what does not conform.

use std::num::NonZeroU16;

use krilla::color::rgb;
use krilla::configure::{Accessibility, Archival, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::embed::{AssociationKind, EmbeddedFile, MimeType};
use krilla::geom::{Point, Transform};
use krilla::metadata::{DateTime, Metadata};
use krilla::num::NormalizedF32;
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule, Stroke};
use krilla::surface::Surface;
use krilla::tagging::{
    Artifact, ArtifactType, ContentTag, Identifier, ListNumbering, Node as Child, SpanTag, TableHeaderScope, Tag, TagGroup,
    TagKind, TagTree,
};
use krilla::{Document, SerializeSettings};
use time::OffsetDateTime;

use super::sheet::{Color, HEIGHT, NodeId, Op, Role, Shape, Sheet, WIDTH};

/// What a PDF says about itself.
#[derive(Debug)]
pub struct About {
    /// Title.
    pub title: String,
    /// BCP 47.
    pub language: &'static str,
    /// One sentence.
    pub description: String,
    /// The moment its facts are of: no clock is read.
    pub dated: OffsetDateTime,
    /// Names this certificate and no other.
    pub id: String,
}

/// A file inside the PDF.
#[derive(Debug)]
pub struct Attachment {
    /// File name.
    pub name: &'static str,
    /// What it is.
    pub description: &'static str,
    /// Its bytes, stored as they are.
    pub bytes: Vec<u8>,
}

/// Writes the PDF.
///
/// # Errors
/// What does not conform; a fault of the layout, never of the reader.
pub fn pdf(sheet: Sheet, about: About, attachment: Option<Attachment>) -> Result<Vec<u8>, String> {
    let configuration = ConfigurationBuilder::new()
        .with_archival_validator(Archival::A3_A)
        .with_accessibility_validator(Accessibility::UA1)
        .finish()
        .map_err(|error| format!("{error:?}"))?;
    let mut document = Document::new_with(SerializeSettings { configuration, ..SerializeSettings::default() });
    let dated = date(about.dated);
    document.set_metadata(
        Metadata::new()
            .title(about.title)
            .description(about.description)
            .language(about.language.into())
            .creator("Sceau".into())
            .producer("krilla".into())
            .creation_date(dated)
            .document_id(about.id),
    );
    let mut marks: Vec<Vec<Identifier>> = sheet.nodes.iter().map(|_| Vec::new()).collect();
    let mut outline = Outline::new();
    for (number, ops) in sheet.pages.iter().enumerate() {
        let settings = PageSettings::from_wh(WIDTH, HEIGHT).ok_or("the size of a page")?;
        let mut page = document.start_page_with(settings);
        let mut surface = page.surface();
        for group in ops.chunk_by(|one, next| one.node == next.node) {
            let node = group[0].node;
            let tag = match node {
                Some(_) => ContentTag::Span(SpanTag::empty()),
                None => ContentTag::Artifact(Artifact::with_kind(ArtifactType::Other)),
            };
            let identifier = surface.start_tagged(tag);
            for Op { shape, .. } in group {
                paint(&mut surface, shape);
            }
            surface.end_tagged();
            if let Some(NodeId(at)) = node {
                if let (Role::Heading(_, title), true, Shape::Text { y, size, .. }) =
                    (&sheet.nodes[at].role, marks[at].is_empty(), &group[0].shape)
                {
                    let place = XyzDestination::new(number, Point::from_xy(0.0, (y - 2.0 * size).max(0.0)));
                    outline.push_child(OutlineNode::new(title.clone(), place));
                }
                marks[at].push(identifier);
            }
        }
        surface.finish();
        page.finish();
    }
    document.set_outline(outline);
    document.set_tag_tree(tree(&sheet, marks, about.language));
    if let Some(attachment) = attachment {
        let file = EmbeddedFile {
            path: attachment.name.into(),
            mime_type: MimeType::new("application/json"),
            description: Some(attachment.description.into()),
            // The page is a reading of the receipt.
            association_kind: AssociationKind::Source,
            data: attachment.bytes.into(),
            modification_date: Some(dated),
            // As it is, so that it can be found without a PDF library (SPEC.md §2.5).
            compress: Some(false),
            location: None,
        };
        document.embed_file(file).ok_or("the attachment's name is taken")?;
    }
    let mut bytes = document.finish().map_err(|error| format!("{error:?}"))?;
    unsuspected(&mut bytes);
    Ok(bytes)
}

/// Blanks out `/Suspects false` in the catalog: it is the default (ISO 32000-1 table 321), and poppler up to 22.12 reports
/// it as a syntax error. The length stays, so no offset changes. The catalog stands behind all streams, whose content is
/// not ours to touch.
fn unsuspected(bytes: &mut [u8]) {
    const WORDS: &[u8] = b"/Marked true/Suspects false";
    let streams = bytes.windows(9).rposition(|window| window == b"endstream").unwrap_or_default();
    if let Some(at) = bytes[streams..].windows(WORDS.len()).position(|window| window == WORDS) {
        bytes[streams + at + 12..][..15].fill(b' ');
    }
}

fn paint(surface: &mut Surface<'_>, shape: &Shape) {
    match shape {
        Shape::Text { x, y, run, size, color, turned } => {
            surface.set_fill(Some(fill(*color)));
            surface.set_stroke(None);
            if *turned != 0.0 {
                surface.push_transform(&Transform::from_rotate_at(*turned, *x, *y));
            }
            let mut at = *x;
            for part in &run.parts {
                surface.draw_glyphs(Point::from_xy(at, *y), &part.glyphs, part.font.clone(), &part.text, *size, false);
                at += part.width * size;
            }
            if *turned != 0.0 {
                surface.pop();
            }
        }
        Shape::Fill(path, color) => {
            surface.set_fill(Some(fill(*color)));
            surface.set_stroke(None);
            surface.draw_path(path);
        }
        Shape::Stroke(path, color, width) => {
            surface.set_fill(None);
            surface.set_stroke(Some(Stroke { paint: rgb(*color).into(), width: *width, ..Stroke::default() }));
            surface.draw_path(path);
        }
    }
}

fn rgb(Color(red, green, blue): Color) -> rgb::Color {
    rgb::Color::new(red, green, blue)
}

fn fill(color: Color) -> Fill {
    Fill { paint: rgb(color).into(), opacity: NormalizedF32::ONE, rule: FillRule::NonZero }
}

fn tree(sheet: &Sheet, marks: Vec<Vec<Identifier>>, language: &str) -> TagTree {
    let mut groups: Vec<Option<TagGroup>> = sheet
        .nodes
        .iter()
        .zip(marks)
        .map(|(node, marks)| Some(TagGroup::with_children(tag(&node.role), marks.into_iter().map(Child::Leaf).collect())))
        .collect();
    let mut children: Vec<Vec<usize>> = sheet.nodes.iter().map(|_| Vec::new()).collect();
    let mut top = Vec::new();
    for (at, node) in sheet.nodes.iter().enumerate() {
        match node.parent {
            Some(NodeId(parent)) => children[parent].push(at),
            None => top.push(at),
        }
    }
    // Children stand after their parents, so from the end every child is whole when its parent takes it.
    for parent in (0..groups.len()).rev() {
        for child in std::mem::take(&mut children[parent]) {
            let child = groups[child].take();
            if let (Some(parent), Some(child)) = (groups[parent].as_mut(), child) {
                parent.push(child);
            }
        }
    }
    let mut tree = TagTree::new().with_lang(Some(language.into()));
    for group in top.into_iter().filter_map(|at| groups[at].take()) {
        tree.push(group);
    }
    tree
}

fn tag(role: &Role) -> TagKind {
    match role {
        Role::Heading(level, title) => Tag::Hn(NonZeroU16::new(*level).unwrap_or(NonZeroU16::MIN), Some(title.clone())).into(),
        Role::Paragraph => Tag::P.into(),
        Role::Table => Tag::Table.into(),
        Role::Row => Tag::TR.into(),
        Role::Label => Tag::TH(TableHeaderScope::Row).into(),
        Role::Value => Tag::TD.into(),
        Role::List => Tag::L(ListNumbering::None).into(),
        Role::Item => Tag::LI.into(),
        Role::ItemBody => Tag::LBody.into(),
        Role::Figure(shows) => Tag::Figure(Some(shows.clone())).into(),
    }
}

fn date(moment: OffsetDateTime) -> DateTime {
    let moment = moment.to_offset(time::UtcOffset::UTC);
    DateTime::new(moment.year().unsigned_abs() as u16)
        .month(moment.month().into())
        .day(moment.day())
        .hour(moment.hour())
        .minute(moment.minute())
        .second(moment.second())
        .utc_offset_hour(0)
        .utc_offset_minute(0)
}
