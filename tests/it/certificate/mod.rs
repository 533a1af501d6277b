//! Reading certificates with programs that had no part in making them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use lopdf::content::Content;
use lopdf::{Document, Object};

/// The attached files by name, with their relationship, through the catalog's /AF (ISO 19005-3 §6.8).
pub fn attachments(pdf: &[u8]) -> BTreeMap<String, (String, Vec<u8>)> {
    let document = Document::load_mem(pdf).expect("a PDF");
    let catalog = document.catalog().expect("a catalog");
    let Ok(files) = catalog.get(b"AF") else { return BTreeMap::new() };
    let follow = |object: &Object| match object {
        Object::Reference(id) => document.get_object(*id).expect("an object").clone(),
        object => object.clone(),
    };
    let files = follow(files);
    let mut found = BTreeMap::new();
    for file in files.as_array().expect("a list") {
        let file = follow(file);
        let file = file.as_dict().expect("a file specification");
        let name = String::from_utf8(file.get(b"F").and_then(Object::as_str).expect("a name").to_vec()).expect("ASCII");
        let relation = file.get(b"AFRelationship").and_then(Object::as_name).expect("a relationship");
        let stream = follow(file.get(b"EF").and_then(Object::as_dict).and_then(|ef| ef.get(b"F")).expect("a stream"));
        let stream = stream.as_stream().expect("a stream");
        assert!(stream.dict.get(b"Filter").is_err(), "stored as it is");
        assert_eq!(stream.dict.get(b"Subtype").and_then(Object::as_name).expect("a type"), b"application/json");
        found.insert(name, (String::from_utf8_lossy(relation).into_owned(), stream.content.clone()));
    }
    found
}

/// The metadata packet.
pub fn metadata(pdf: &[u8]) -> String {
    let document = Document::load_mem(pdf).expect("a PDF");
    let id = document.catalog().and_then(|catalog| catalog.get(b"Metadata")).and_then(Object::as_reference).expect("metadata");
    let stream = document.get_object(id).and_then(Object::as_stream).expect("a stream");
    assert!(stream.dict.get(b"Filter").is_err(), "metadata is stored as it is");
    String::from_utf8(stream.content.clone()).expect("UTF-8")
}

/// The number of pages.
pub fn pages(pdf: &[u8]) -> usize {
    Document::load_mem(pdf).expect("a PDF").get_pages().len()
}

/// What the QR code of the first page says. Its filled rectangles are taken from the page's content and set as pixels.
pub fn code(pdf: &[u8]) -> String {
    const SCALE: f32 = 8.0;
    let document = Document::load_mem(pdf).expect("a PDF");
    let page = document.get_pages()[&1];
    let content = Content::decode(&document.get_page_content(page)).expect("operators");
    let number = |object: &Object| object.as_float().expect("a number");
    let (mut boxes, mut corners): (Vec<[f32; 4]>, Vec<(f32, f32)>) = (Vec::new(), Vec::new());
    let mut close = |corners: &mut Vec<(f32, f32)>| {
        let (xs, ys): (Vec<f32>, Vec<f32>) = corners.drain(..).unzip();
        let span =
            |values: &[f32]| values.iter().fold((f32::MAX, f32::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
        let ((left, right), (top, bottom)) = (span(&xs), span(&ys));
        // Where the layout puts the code, and no larger than a row of it.
        if left > 440.0 && right < 540.0 && top > 45.0 && bottom < 140.0 && bottom - top < 4.0 {
            boxes.push([left - 440.0, top - 45.0, right - 440.0, bottom - 45.0]);
        }
    };
    for operation in &content.operations {
        let values = &operation.operands;
        match operation.operator.as_str() {
            "re" => {
                let (x, y) = (number(&values[0]), number(&values[1]));
                corners = vec![(x, y), (x + number(&values[2]), y + number(&values[3]))];
                close(&mut corners);
            }
            "m" => corners = vec![(number(&values[0]), number(&values[1]))],
            "l" => corners.push((number(&values[0]), number(&values[1]))),
            "h" => close(&mut corners),
            _ => {}
        }
    }
    assert!(boxes.len() > 100, "{} rectangles", boxes.len());
    let side = (100.0 * SCALE) as usize;
    let mut pixels = vec![255_u8; side * side];
    for [left, top, right, bottom] in boxes {
        for y in (top * SCALE).round() as usize..(bottom * SCALE).round() as usize {
            for x in (left * SCALE).round() as usize..(right * SCALE).round() as usize {
                pixels[y * side + x] = 0;
            }
        }
    }
    decoded(side, side, &pixels)
}

fn decoded(width: usize, height: usize, pixels: &[u8]) -> String {
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| pixels[y * width + x]);
    let grids = image.detect_grids();
    assert_eq!(grids.len(), 1, "one QR code");
    grids[0].decode().expect("a readable QR code").1
}

/// A program of poppler's, where it is installed.
fn poppler(program: &str, arguments: &[&str], folder: &Path) -> Option<Output> {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    match output {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("{program} is not installed: not asked");
            None
        }
        output => Some(output.expect("it runs")),
    }
}

/// Asks poppler: every program must be silent, the attachment the receipt, the code on the drawn page the one asked for.
/// Answers the pages' text, where poppler is installed.
pub fn judge(pdf: &[u8], receipt: Option<&[u8]>, url: &str) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("c.pdf"), pdf).expect("written");
    let ask = |program: &str, arguments: &[&str]| {
        let output = poppler(program, arguments, folder.path())?;
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && complaint.is_empty(), "{program} {arguments:?}: {complaint}");
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let info = ask("pdfinfo", &["c.pdf"])?;
    assert!(info.contains("Tagged:          yes") && info.contains("Encrypted:       no"), "{info}");
    ask("pdftoppm", &["-gray", "-r", "150", "-f", "1", "-l", "1", "-singlefile", "c.pdf", "page"])?;
    let (width, height, pixels) = grey(&std::fs::read(folder.path().join("page.pgm")).expect("a page"));
    assert_eq!(decoded(width, height, &pixels), url, "as drawn by poppler");
    let fonts = ask("pdffonts", &["c.pdf"])?;
    for font in fonts.lines().skip(2) {
        let words: Vec<&str> = font.split_whitespace().rev().collect();
        assert_eq!(words[2..5], ["yes", "yes", "yes"], "embedded, subset, with Unicode: {font}");
    }
    let list = ask("pdfdetach", &["-list", "c.pdf"])?;
    match receipt {
        None => assert!(list.starts_with("0 embedded"), "{list}"),
        Some(receipt) => {
            assert!(list.starts_with("1 embedded"), "{list}");
            ask("pdfdetach", &["-savefile", "receipt.json", "-o", "out.json", "c.pdf"])?;
            assert_eq!(std::fs::read(folder.path().join("out.json")).expect("extracted"), receipt);
        }
    }
    ask("pdftotext", &["-layout", "c.pdf", "-"])
}

/// A binary PGM.
fn grey(bytes: &[u8]) -> (usize, usize, Vec<u8>) {
    let mut parts = bytes.splitn(4, |byte| byte.is_ascii_whitespace());
    let mut word = || std::str::from_utf8(parts.next().expect("a word")).expect("ASCII").to_owned();
    assert_eq!(word(), "P5");
    let (width, height): (usize, usize) = (word().parse().expect("a width"), word().parse().expect("a height"));
    let rest = parts.next().expect("pixels");
    (width, height, rest[rest.len() - width * height..].to_vec())
}
