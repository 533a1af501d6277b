//! The tables of `docs/api.md`, and whether they list what there is.

use std::collections::BTreeMap;

use sceau::api::error::Code;
use sceau::api::routes::{self, Access};

const PAGES: &str = include_str!("../../../../docs/api.md");

/// The rows of a table in the pages whose head begins with `head`, as lists of cells.
pub fn rows(head: &str) -> Vec<Vec<String>> {
    let lines = PAGES.lines().skip_while(|line| !line.starts_with(head)).skip(2).take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<String>> =
        lines.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect();
    assert!(!rows.is_empty(), "no table {head}");
    rows
}

/// What stands between back-quotes.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn needed(access: Access) -> &'static str {
    match access {
        Access::Public => "–",
        Access::Client => "key and secret",
        Access::Scope(scope) => scope.as_str(),
    }
}

#[test]
fn the_pages_list_every_route_with_what_it_needs() {
    let listed: BTreeMap<String, String> = rows("| route |")
        .iter()
        .flat_map(|row| quoted(&row[0]).into_iter().map(|route| (route.to_owned(), row[1].replace('`', ""))).collect::<Vec<_>>())
        .collect();
    let real: BTreeMap<String, String> = routes::all()
        .chain(routes::core())
        .map(|route| (format!("{} {}", route.method, route.path.replace('*', "")), needed(route.access).into()))
        .collect();
    assert_eq!(listed, real);
}

#[test]
fn the_pages_list_every_code_with_its_status() {
    let listed: BTreeMap<String, String> =
        rows("| code | status |").iter().map(|row| (row[0].replace('`', ""), row[1].clone())).collect();
    let real: BTreeMap<String, String> =
        Code::ALL.iter().map(|code| (code.as_str().into(), code.status().as_u16().to_string())).collect();
    assert_eq!(listed, real);
}
