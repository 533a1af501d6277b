//! What is to be drawn, page by page, and what it means: drawn operations and a tree of structure. Nothing of PDF yet, so
//! the number of pages is known before the first footer is written.

use krilla::geom::Path;

use super::font::{Face, Run, shape};

/// A4, points.
pub const WIDTH: f32 = 595.28;
/// A4, points.
pub const HEIGHT: f32 = 841.89;

/// Red, green, blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color(pub u8, pub u8, pub u8);

/// Text.
pub const INK: Color = Color(0x1b, 0x1b, 0x1f);
/// Labels and remarks.
pub const GREY: Color = Color(0x5a, 0x5c, 0x66);
/// Frame and headings.
pub const NAVY: Color = Color(0x1d, 0x2f, 0x54);
/// The seal, and warnings.
pub const RED: Color = Color(0x8c, 0x1c, 0x26);
/// Thin lines.
pub const HAIR: Color = Color(0xbd, 0xbf, 0xc8);
/// Letters on the seal.
pub const PAPER: Color = Color(0xff, 0xff, 0xff);

/// How text looks.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Its face.
    pub face: Face,
    /// Points.
    pub size: f32,
    /// Its colour.
    pub color: Color,
    /// Extra width after each letter, in sizes.
    pub tracking: f32,
}

impl Style {
    /// Without tracking.
    #[must_use]
    pub const fn new(face: Face, size: f32, color: Color) -> Self {
        Self { face, size, color, tracking: 0.0 }
    }

    /// With letters spread out.
    #[must_use]
    pub const fn tracked(self, tracking: f32) -> Self {
        Self { tracking, ..self }
    }

    /// Shapes a line.
    #[must_use]
    pub fn run(&self, text: &str) -> Run {
        shape(text, self.face, self.tracking)
    }
}

/// A part of the structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeId(pub usize);

/// What a part of the structure is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Heading of a level from 1.
    Heading(u16, String),
    /// Paragraph.
    Paragraph,
    /// Table of labels and values.
    Table,
    /// Its row.
    Row,
    /// The row's label.
    Label,
    /// The row's value.
    Value,
    /// List.
    List,
    /// Its item.
    Item,
    /// The item's text.
    ItemBody,
    /// A picture and what it shows.
    Figure(String),
}

/// A node of the structure.
#[derive(Debug)]
pub struct Node {
    /// What it is.
    pub role: Role,
    /// Where it stands; `None` at the top.
    pub parent: Option<NodeId>,
}

/// Something drawn.
pub enum Shape {
    /// A line of text with its left end at the baseline.
    Text {
        /// Left end.
        x: f32,
        /// Baseline.
        y: f32,
        /// Glyphs.
        run: Run,
        /// Points.
        size: f32,
        /// Colour.
        color: Color,
        /// Clockwise, degrees, around the left end.
        turned: f32,
    },
    /// A filled path, by non-zero winding.
    Fill(Path, Color),
    /// A stroked path with its width.
    Stroke(Path, Color, f32),
}

/// A shape and the part of the structure it belongs to; decoration belongs to none.
pub struct Op {
    /// Whose it is.
    pub node: Option<NodeId>,
    /// The shape.
    pub shape: Shape,
}

/// Pages and structure.
#[derive(Default)]
pub struct Sheet {
    /// Operations of each page.
    pub pages: Vec<Vec<Op>>,
    /// Nodes, parents before children.
    pub nodes: Vec<Node>,
}

impl Sheet {
    /// Adds a node.
    pub fn node(&mut self, role: Role, parent: Option<NodeId>) -> NodeId {
        self.nodes.push(Node { role, parent });
        NodeId(self.nodes.len() - 1)
    }

    /// Draws on the last page.
    pub fn draw(&mut self, node: Option<NodeId>, shape: Shape) {
        if self.pages.is_empty() {
            self.pages.push(Vec::new());
        }
        if let Some(page) = self.pages.last_mut() {
            page.push(Op { node, shape });
        }
    }

    /// Writes a line with its left end at `x`.
    pub fn text(&mut self, node: Option<NodeId>, x: f32, y: f32, style: Style, text: &str) {
        self.line(node, x, y, style, style.run(text));
    }

    /// Writes a line centred on `x`.
    pub fn centred(&mut self, node: Option<NodeId>, x: f32, y: f32, style: Style, text: &str) {
        let run = style.run(text);
        // What stands after the last letter is no part of the line.
        let width = (run.width() - style.tracking) * style.size;
        self.line(node, x - width / 2.0, y, style, run);
    }

    /// Writes glyphs.
    pub fn line(&mut self, node: Option<NodeId>, x: f32, y: f32, style: Style, run: Run) {
        self.draw(node, Shape::Text { x, y, run, size: style.size, color: style.color, turned: 0.0 });
    }
}
