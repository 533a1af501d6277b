//! Text set one line under another, over as many pages as it takes.

use crate::certificate::page::font::{Face, lines};
use crate::certificate::page::ornament;
use crate::certificate::page::sheet::{Color, GREY, HAIR, INK, NAVY, NodeId, Role, Sheet, Style, WIDTH};

/// Left and right margin.
pub const MARGIN: f32 = 64.0;
/// Width of the text.
pub const MEASURE: f32 = WIDTH - 2.0 * MARGIN;
/// Where a page's text ends.
const BOTTOM: f32 = 772.0;
/// Where the text of a page after the first starts.
const TOP: f32 = 74.0;
/// Width of the labels.
const LABELS: f32 = 112.0;

/// Running text.
pub const BODY: Style = Style::new(Face::Regular, 10.2, INK);
/// Values of rows.
pub const VALUE: Style = Style::new(Face::Regular, 10.4, INK);
/// Values that matter.
pub const STRONG: Style = Style::new(Face::Bold, 10.6, INK);
/// Hashes and addresses.
pub const HASH: Style = Style::new(Face::Mono, 8.35, INK);
/// Remarks.
pub const REMARK: Style = Style::new(Face::Italic, 9.4, GREY);
const SHADE: Color = Color(0xf3, 0xf4, 0xf7);
const LABEL: Style = Style::new(Face::Italic, 10.2, GREY);

/// A sheet and the place where the next line goes.
pub struct Flow {
    /// What is drawn.
    pub sheet: Sheet,
    /// Top of the next line.
    pub y: f32,
    watermark: Option<&'static str>,
    articles: usize,
}

impl Flow {
    /// The first page; text starts at `y`.
    pub fn new(y: f32, watermark: Option<&'static str>) -> Self {
        let mut flow = Self { sheet: Sheet::default(), y, watermark, articles: 0 };
        flow.page();
        flow
    }

    fn page(&mut self) {
        self.sheet.pages.push(Vec::new());
        if let Some(text) = self.watermark {
            ornament::watermark(&mut self.sheet, text);
        }
        ornament::frame(&mut self.sheet);
    }

    /// Starts a new page when less than `height` is left.
    pub fn need(&mut self, height: f32) {
        if self.y + height > BOTTOM {
            self.page();
            self.y = TOP;
        }
    }

    /// Sets `text` in lines of `width` from `x`.
    fn set(&mut self, node: NodeId, x: f32, width: f32, style: Style, text: &str, justified: bool) {
        let leading = style.size * 1.32;
        let lines = lines(text, style.face, style.size, width);
        let last = lines.len() - 1;
        for (at, line) in lines.iter().enumerate() {
            self.need(leading);
            // A space at the end, which is not seen, parts the words of two lines for those who listen.
            let line = if at < last { format!("{line} ") } else { line.clone() };
            let mut run = style.run(&line);
            if justified && at < last {
                let hanging = style.run(" ").width();
                let open = width - (run.width() - hanging) * style.size;
                let spaces = run.spaces().saturating_sub(1);
                // A line that lacks much stays ragged: holes are worse.
                if spaces > 0 && open > 0.0 && open < 0.3 * style.size * spaces as f32 {
                    run.stretch(open / style.size / spaces as f32);
                }
            }
            self.sheet.line(Some(node), x, self.y + style.size, style, run);
            self.y += leading;
        }
    }

    /// A paragraph over the whole measure, with `after` under it.
    pub fn paragraph(&mut self, style: Style, text: &str, after: f32) {
        let node = self.sheet.node(Role::Paragraph, None);
        self.set(node, MARGIN, MEASURE, style, text, true);
        self.y += after;
    }

    /// A paragraph of short centred lines.
    pub fn centred(&mut self, style: Style, text: &str, width: f32, after: f32) {
        let node = self.sheet.node(Role::Paragraph, None);
        let lines = lines(text, style.face, style.size, width);
        for line in lines {
            self.need(style.size * 1.32);
            self.sheet.centred(Some(node), WIDTH / 2.0, self.y + style.size, style, &format!("{line} "));
            self.y += style.size * 1.32;
        }
        self.y += after;
    }

    /// The heading of a numbered article; `room` must be left under it on the page.
    pub fn article(&mut self, title: &str, room: f32) {
        self.articles += 1;
        self.need(34.0 + room);
        self.y += 11.0;
        let number = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII"].get(self.articles - 1).copied().unwrap_or("—");
        let style = Style::new(Face::Bold, 11.6, NAVY).tracked(0.03);
        let node = self.sheet.node(Role::Heading(2, title.into()), None);
        self.sheet.text(Some(node), MARGIN, self.y + 11.0, style, &format!("{number}. {title}"));
        self.y += 15.5;
        ornament::rule(&mut self.sheet, MARGIN, self.y, MEASURE, NAVY, 0.6);
        self.y += 4.5;
    }

    /// A heading below an article's.
    pub fn heading(&mut self, title: &str, room: f32) {
        self.need(20.0 + room);
        self.y += 5.0;
        let node = self.sheet.node(Role::Heading(3, title.into()), None);
        self.sheet.text(Some(node), MARGIN, self.y + 10.5, Style::new(Face::Bold, 10.4, NAVY), title);
        self.y += 15.0;
    }

    /// Rows of labels and values.
    pub fn rows(&mut self, rows: &[Row<'_>]) {
        let table = self.sheet.node(Role::Table, None);
        for row in rows {
            self.row(table, row);
        }
    }

    fn row(&mut self, table: NodeId, row: &Row<'_>) {
        let (x, width) = (MARGIN + LABELS, MEASURE - LABELS);
        let tall =
            |text: &str, style: Style, width: f32| lines(text, style.face, style.size, width).len() as f32 * style.size * 1.32;
        let value_height =
            tall(&row.value, row.style, width) + row.remark.as_deref().map_or(0.0, |text| tall(text, REMARK, width));
        // A row stays together, so that label and value start side by side.
        self.need(value_height.max(tall(&row.label, LABEL, LABELS - 8.0)) + 6.0);
        let node = self.sheet.node(Role::Row, Some(table));
        let label = self.sheet.node(Role::Label, Some(node));
        let value = self.sheet.node(Role::Value, Some(node));
        self.y += 3.0;
        let start = self.y;
        self.set(label, MARGIN, LABELS - 8.0, LABEL, &row.label, false);
        let under = std::mem::replace(&mut self.y, start);
        self.y += (LABEL.size - row.style.size).max(0.0) * 0.8;
        self.set(value, x, width, row.style, &row.value, false);
        if let Some(remark) = &row.remark {
            let used = (row.style.run(&row.value).width()) * row.style.size;
            let run = REMARK.run(&format!(" — {remark}"));
            if used + run.width() * REMARK.size <= width {
                // Beside a value of one line.
                let base = start + (LABEL.size - row.style.size).max(0.0) * 0.8 + row.style.size;
                self.sheet.line(Some(value), x + used, base, REMARK, run);
            } else {
                self.set(value, x, width, REMARK, remark, false);
            }
        }
        self.y = self.y.max(under) + 2.6;
        ornament::rule(&mut self.sheet, MARGIN, self.y, MEASURE, HAIR, 0.3);
    }

    /// Two lists side by side, each under its heading and with a mark before each item.
    pub fn columns(&mut self, columns: [(&str, &str, &[&str]); 2]) {
        let (gap, style) = (22.0, Style::new(Face::Regular, 9.7, INK));
        let (width, leading) = ((MEASURE - gap) / 2.0, style.size * 1.3);
        let indent = 13.0;
        let broken = columns.map(|(_, _, items)| {
            items.iter().map(|item| lines(item, style.face, style.size, width - indent)).collect::<Vec<_>>()
        });
        let tall = |items: &Vec<Vec<String>>| items.iter().map(|lines| lines.len() as f32 * leading + 3.2).sum::<f32>();
        let height = 20.0 + broken.iter().map(tall).fold(0.0, f32::max);
        self.need(height);
        let top = self.y + 3.0;
        for (at, ((title, bullet, _), items)) in columns.iter().zip(&broken).enumerate() {
            let x = MARGIN + at as f32 * (width + gap);
            let heading = self.sheet.node(Role::Heading(3, (*title).into()), None);
            self.sheet.text(Some(heading), x, top + 10.5, Style::new(Face::Bold, 10.4, NAVY), title);
            let list = self.sheet.node(Role::List, None);
            let mut y = top + 19.0;
            for lines in items {
                let item = self.sheet.node(Role::Item, Some(list));
                let body = self.sheet.node(Role::ItemBody, Some(item));
                self.sheet.text(None, x + 1.0, y + style.size, Style::new(Face::Bold, 9.7, NAVY), bullet);
                for line in lines {
                    self.sheet.text(Some(body), x + indent, y + style.size, style, &format!("{line} "));
                    y += leading;
                }
                y += 3.2;
            }
        }
        self.y = top + height;
    }

    /// A command in a frame.
    pub fn command(&mut self, lines: &[String]) {
        let style = Style::new(Face::Mono, 7.9, INK);
        let height = lines.len() as f32 * 11.2 + 10.0;
        self.need(height + 8.0);
        let node = self.sheet.node(Role::Paragraph, None);
        self.y += 2.0;
        ornament::block(&mut self.sheet, MARGIN, self.y, MEASURE, height, SHADE);
        for (at, line) in lines.iter().enumerate() {
            self.sheet.text(Some(node), MARGIN + 9.0, self.y + 14.0 + at as f32 * 11.2, style, &format!("{line} "));
        }
        self.y += height + 6.0;
    }
}

/// A label and what it labels.
pub struct Row<'a> {
    /// The label.
    pub label: std::borrow::Cow<'a, str>,
    /// The value.
    pub value: std::borrow::Cow<'a, str>,
    /// How the value looks.
    pub style: Style,
    /// Said beside or under it.
    pub remark: Option<std::borrow::Cow<'a, str>>,
}

/// A row without remark.
pub fn row<'a>(
    label: impl Into<std::borrow::Cow<'a, str>>,
    value: impl Into<std::borrow::Cow<'a, str>>,
    style: Style,
) -> Row<'a> {
    Row { label: label.into(), value: value.into(), style, remark: None }
}

impl<'a> Row<'a> {
    /// The row with a remark.
    pub fn remark(self, remark: impl Into<std::borrow::Cow<'a, str>>) -> Self {
        Self { remark: Some(remark.into()), ..self }
    }
}
