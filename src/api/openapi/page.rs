//! The document as a page: no script, nothing from elsewhere.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sceau_verifier::Digest;
use serde_json::Value;

use crate::api::open::check::escaped;

const STYLE: &str = include_str!("page.css");
/// Members of members that are shown at most.
const DEPTH: usize = 4;

/// What the page may load: its own style.
pub fn policy() -> String {
    let style = BASE64_STANDARD.encode(Digest::of(STYLE.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
}

/// The whole page.
pub fn page(document: &Value) -> String {
    let (mut list, mut body) = (String::new(), String::new());
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = text(&tag["name"]);
        push(&mut list, format_args!("<h2>{name}</h2>"));
        push(&mut body, format_args!("<h2>{name}</h2><p>{}</p>", prose(&tag["description"])));
        for (path, methods) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                if operation["tags"][0] == tag["name"] {
                    let id = text(&operation["operationId"]);
                    push(&mut list, format_args!("<a href=\"#{id}\">{} {}</a>", method.to_uppercase(), escaped(path)));
                    body.push_str(&article(document, path, method, operation));
                }
            }
        }
    }
    list.push_str("<h2>errors</h2><a href=\"#problems-table\">all codes</a>");
    body.push_str("<h2 id=\"problems-table\">Errors</h2><table>");
    for problem in document["x-problems"].as_array().into_iter().flatten() {
        push(
            &mut body,
            format_args!(
                "<tr><th><code>{}</code></th><td>{}</td><td>{}</td></tr>",
                text(&problem["code"]),
                problem["status"],
                prose(&problem["description"])
            ),
        );
    }
    body.push_str("</table>");
    let info = &document["info"];
    let paragraphs: Vec<String> =
        info["description"].as_str().unwrap_or_default().split("\n\n").map(|part| format!("<p>{}</p>", marked(part))).collect();
    let title = text(&info["title"]);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title} — API</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<nav>{list}</nav>\n<main>\n<h1>{title} {}</h1>\n{}\n\
         <p>For programs: <a href=\"/openapi.json\">openapi.json</a> (OpenAPI 3.1).</p>\n{body}\n</main>\n</body>\n</html>\n",
        text(&info["version"]),
        paragraphs.concat(),
    )
}

fn article(document: &Value, path: &str, method: &str, operation: &Value) -> String {
    let mut out = String::new();
    push(
        &mut out,
        format_args!(
            "<article id=\"{}\"><h3><span class=\"method {method}\">{}</span><code>{}</code></h3><p>{}. <span class=\"needs\">{}</span></p>",
            text(&operation["operationId"]),
            method.to_uppercase(),
            escaped(path),
            prose(&operation["summary"]),
            needs(operation),
        ),
    );
    if operation["description"].is_string() {
        push(&mut out, format_args!("<p>{}</p>", prose(&operation["description"])));
    }
    if let Some(parameters) = operation["parameters"].as_array() {
        out.push_str("<h4>Parameters</h4><table>");
        for parameter in parameters {
            row(&mut out, document, (&text(&parameter["name"]), parameter["required"] == true), &parameter["schema"], 0);
            push(
                &mut out,
                format_args!("<tr><th></th><td>{} — {}</td></tr>", text(&parameter["in"]), prose(&parameter["description"])),
            );
        }
        out.push_str("</table>");
    }
    for (media, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        push(&mut out, format_args!("<h4>Body <span class=\"kind\">{media}</span></h4>"));
        members(&mut out, document, &content["schema"], 0);
        for (_, example) in content["examples"].as_object().into_iter().flatten() {
            shown(&mut out, &example["value"]);
        }
    }
    out.push_str("<h4>Answers</h4>");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let media: Vec<&String> = response["content"].as_object().into_iter().flatten().map(|(media, _)| media).collect();
        let media = media.into_iter().map(|media| escaped(media)).collect::<Vec<_>>().join(", ");
        push(
            &mut out,
            format_args!(
                "<details><summary>{status} <span class=\"kind\">{media}</span> {}</summary>",
                prose(&response["description"])
            ),
        );
        for (media, content) in response["content"].as_object().into_iter().flatten() {
            if media != "application/problem+json" && content["schema"].is_object() {
                members(&mut out, document, &content["schema"], 0);
                if !content["example"].is_null() {
                    shown(&mut out, &content["example"]);
                }
            }
        }
        out.push_str("</details>");
    }
    out.push_str("</article>");
    out
}

fn needs(operation: &Value) -> String {
    match operation["security"][0].as_object().and_then(|one| one.iter().next()) {
        None => "Needs nothing.".into(),
        Some((_, scopes)) => match scopes[0].as_str() {
            Some(scope) => format!("Needs the scope <code>{}</code>.", escaped(scope)),
            None => "Needs key and secret.".into(),
        },
    }
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema["$ref"].as_str().and_then(|reference| document.pointer(reference.trim_start_matches('#')));
    reference.unwrap_or(schema)
}

/// The members of an object, or of the items of a list, as a table.
fn members(out: &mut String, document: &Value, schema: &Value, depth: usize) {
    let schema = resolved(document, schema);
    let variants = ["oneOf", "anyOf"].into_iter().find_map(|key| schema[key].as_array());
    if let (Some(properties), true) = (schema["properties"].as_object(), depth < DEPTH) {
        out.push_str("<table>");
        for (name, property) in properties {
            let must = schema["required"].as_array().is_some_and(|names| names.iter().any(|other| other == name));
            row(out, document, (&escaped(name), must), property, depth);
        }
        out.push_str("</table>");
    } else if schema["items"].is_object() {
        members(out, document, &schema["items"], depth);
    } else if let Some(variants) = variants {
        variants.iter().for_each(|variant| members(out, document, variant, depth));
    }
}

fn row(out: &mut String, document: &Value, (name, must): (&str, bool), property: &Value, depth: usize) {
    let schema = resolved(document, property);
    let must = if must { " <span class=\"must\">always</span>" } else { "" };
    let about = if property["description"].is_string() { &property["description"] } else { &schema["description"] };
    push(
        out,
        format_args!(
            "<tr><th><code>{name}</code>{must}</th><td><span class=\"kind\">{}</span> {}",
            kind(document, schema),
            prose(about)
        ),
    );
    let inner = resolved(document, if schema["items"].is_object() { &schema["items"] } else { schema });
    if inner["properties"].is_object() && depth + 1 < DEPTH {
        out.push_str("<details><summary>members</summary>");
        members(out, document, inner, depth + 1);
        out.push_str("</details>");
    }
    out.push_str("</td></tr>");
}

/// The type in a few words, with its bounds.
fn kind(document: &Value, schema: &Value) -> String {
    let words = |list: &Value| {
        let words: Vec<String> = list.as_array().into_iter().flatten().map(text).collect();
        words.join(" | ")
    };
    let mut kind = match &schema["type"] {
        Value::String(name) => escaped(name),
        types @ Value::Array(_) => words(types),
        _ => match schema["oneOf"].as_array() {
            Some(variants) => variants.iter().map(|variant| text(&variant["const"])).collect::<Vec<_>>().join(" | "),
            None => schema["anyOf"].as_array().map_or_else(String::new, |variants| {
                variants.iter().map(|variant| self::kind(document, resolved(document, variant))).collect::<Vec<_>>().join(" | ")
            }),
        },
    };
    if schema["items"].is_object() {
        push(&mut kind, format_args!(" of {}", self::kind(document, resolved(document, &schema["items"]))));
    }
    if schema["enum"].as_array().is_some_and(|words| words.len() <= 12) {
        push(&mut kind, format_args!(": {}", words(&schema["enum"])));
    }
    for (key, word) in [
        ("minItems", "at least"),
        ("maxItems", "at most"),
        ("maxLength", "characters at most"),
        ("minimum", "from"),
        ("maximum", "to"),
        ("format", ""),
        ("pattern", ""),
    ] {
        match &schema[key] {
            Value::Null => {}
            Value::String(pattern) if key == "pattern" => push(&mut kind, format_args!(" <code>{}</code>", escaped(pattern))),
            value => push(&mut kind, format_args!(", {word} {}", text(value))),
        }
    }
    kind
}

fn shown(out: &mut String, value: &Value) {
    let pretty = serde_json::to_string_pretty(value).unwrap_or_default();
    push(out, format_args!("<pre>{}</pre>", escaped(&pretty)));
}

fn text(value: &Value) -> String {
    escaped(&value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned))
}

fn prose(value: &Value) -> String {
    marked(value.as_str().unwrap_or_default())
}

/// What stands between back-quotes is code; that is all the mark-up our texts have.
fn marked(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { format!("<code>{}</code>", escaped(part)) } else { escaped(part) }).collect()
}

fn push(out: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(what);
}
