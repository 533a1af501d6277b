//! Finding proofs again: every filter, alone and with others, against a list kept in memory.

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::kit::{Service, digest, problem, service};
use super::receipt::{REGISTRY, finish, include, target};

/// What a proof of the test is, as its owner remembers it.
struct Known {
    number: u64,
    batch: u64,
    status: &'static str,
    received_at: OffsetDateTime,
    labels: Vec<String>,
    file_name: Option<String>,
}

/// Four batches, one of each status, with the proofs of two accounts in turns.
async fn history(service: &Service) -> (String, Vec<Known>) {
    let (_, token) = service.partner("a").await;
    let (_, other) = service.partner("b").await;
    let target = target(service, 31_337, REGISTRY).await;
    let mut known: Vec<Known> = Vec::new();
    for (batch, status) in (1..).zip(["final", "anchored", "sealed", "pending"]) {
        for group in 0..5_u64 {
            let items: Vec<Value> = (0..6_u64)
                .map(|at| {
                    let id = batch * 1_000 + group * 10 + at;
                    let mut item = json!({ "digest": digest(id) });
                    if at % 2 == 0 {
                        item["labels"] = json!([format!("group {group}"), "even"]);
                    }
                    if at % 3 == 0 {
                        item["file_name"] = json!(format!("Été_{}%_{id}.PDF", if at == 0 { "Bail" } else { "acte" }));
                    }
                    item
                })
                .collect();
            let answer = service.post("/v1/proofs", &token, &json!({ "proofs": items })).await;
            let body: Value = answer.json().await.unwrap();
            for (item, proof) in items.iter().zip(body["proofs"].as_array().unwrap()) {
                let texts =
                    |list: &Value| list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().into()).collect();
                known.push(Known {
                    number: proof["number"].as_u64().unwrap(),
                    batch,
                    status,
                    received_at: OffsetDateTime::parse(proof["received_at"].as_str().unwrap(), &Rfc3339).unwrap(),
                    labels: texts(&item["labels"]),
                    file_name: item["file_name"].as_str().map(str::to_owned),
                });
            }
            service.post("/v1/proofs", &other, &json!({ "proofs": items })).await;
        }
        if status == "pending" {
            break;
        }
        assert_eq!(service.seal().await, batch);
        if status != "sealed" {
            let anchored = include(service, target, batch, 31_337, REGISTRY).await;
            if status == "final" {
                finish(service, target, batch, &anchored).await;
            }
        }
    }
    known.sort_by_key(|known| known.number);
    assert!(known.iter().map(|known| known.number).eq(1..=120));
    (token, known)
}

fn numbers(proofs: &[Value]) -> Vec<u64> {
    proofs.iter().map(|proof| proof["number"].as_u64().unwrap()).collect()
}

/// All pages, `limit` proofs each.
async fn pages(service: &Service, token: &str, query: &str, limit: u64) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let answer = service.get(&format!("/v1/proofs?limit={limit}&after={after}&{query}"), token).await;
        assert_eq!(answer.status(), StatusCode::OK, "{query}");
        let page: Value = answer.json().await.unwrap();
        let proofs = page["proofs"].as_array().unwrap();
        assert!(proofs.len() as u64 <= limit);
        all.extend(proofs.iter().cloned());
        match page["next"].as_u64() {
            Some(next) => assert!(std::mem::replace(&mut after, next) < next, "it goes on"),
            None => return all,
        }
    }
}

async fn streamed(service: &Service, token: &str, query: &str) -> Response {
    let request = service.client.get(format!("{}/v1/proofs?{query}", service.base)).bearer_auth(token);
    request.header("accept", "application/x-ndjson").send().await.unwrap()
}

async fn lines(service: &Service, token: &str, query: &str) -> (Vec<Value>, Value) {
    let answer = streamed(service, token, query).await;
    assert_eq!((answer.status(), &answer.headers()["content-type"]), (StatusCode::OK, &"application/x-ndjson".parse().unwrap()));
    let text = answer.text().await.unwrap();
    let mut all: Vec<Value> =
        text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect();
    let end = all.pop().unwrap()["end"].take();
    (all, end)
}

type Test = Box<dyn Fn(&Known) -> bool>;

#[tokio::test]
async fn filters_find_what_they_say_alone_and_together_in_pages_of_any_size_and_as_a_stream() {
    let service = service().await;
    let (token, known) = history(&service).await;
    let moment = |number: usize| known[number - 1].received_at;
    let shown = |moment: OffsetDateTime| moment.format(&Rfc3339).unwrap();
    let mut filters: Vec<(String, Test)> = vec![(String::new(), Box::new(|_| true))];
    for status in ["pending", "sealed", "anchored", "final"] {
        filters.push((format!("status={status}"), Box::new(move |known| known.status == status)));
    }
    for label in ["even", "group 3", "none"] {
        let query = format!("label={}", label.replace(' ', "%20"));
        filters.push((query, Box::new(move |known| known.labels.iter().any(|own| own == label))));
    }
    for (name, encoded) in [("bail", "BAIL"), ("été_", "%C3%89T%C3%89_"), ("%_", "%25_"), ("2001", "2001"), ("none", "none")] {
        let test = move |known: &Known| known.file_name.as_ref().is_some_and(|own| own.to_lowercase().contains(name));
        filters.push((format!("file_name={encoded}"), Box::new(test)));
    }
    for batch in [1, 4, 5] {
        filters.push((format!("batch={batch}"), Box::new(move |known| known.batch == batch)));
    }
    let (from, to) = (moment(40), moment(80));
    filters.push((format!("received_from={}", shown(from)), Box::new(move |known| known.received_at >= from)));
    filters.push((format!("received_to={}", shown(to)), Box::new(move |known| known.received_at < to)));
    for (at, (query, test)) in filters.iter().enumerate() {
        for (other, also) in &filters[at..] {
            let same = query.split('=').next() == other.split('=').next() && at != 0;
            if same && query != other {
                continue;
            }
            let both = if query == other { query.clone() } else { format!("{query}&{other}") };
            let expected: Vec<u64> = known.iter().filter(|known| test(known) && also(known)).map(|known| known.number).collect();
            let found = pages(&service, &token, both.trim_matches('&'), if at % 2 == 0 { 7 } else { 1_000 }).await;
            assert_eq!(numbers(&found), expected, "{both}");
            if at == 0 || same {
                let (found, end) = lines(&service, &token, both.trim_matches('&')).await;
                assert_eq!(numbers(&found), expected, "{both}");
                assert_eq!(end["listed"], expected.len());
            }
        }
    }
    let first = &pages(&service, &token, "batch=1", 1).await[0];
    let alone: Value = service.get(&format!("/v1/proofs/{}", digest(1_000)), &token).await.json().await.unwrap();
    for member in ["digest", "status", "batch", "received_at", "anchor_by", "overdue", "file_name", "labels", "salt", "links"] {
        assert_eq!(first[member], alone[member], "{member}");
    }
    let (some, end) = lines(&service, &token, "after=10&limit=25").await;
    assert_eq!((numbers(&some), &end), ((11..=35).collect(), &json!({ "listed": 25, "after": 35 })));
    assert!(some[0].get("links").is_none());
}

#[tokio::test]
async fn a_filter_that_finds_little_works_in_bounded_steps() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    for part in 0..2_u64 {
        let items: Vec<Value> = (0..7_000)
            .map(|at| match part * 7_000 + at {
                13_500 => json!({ "digest": digest(13_500), "file_name": "needle", "labels": ["rare"] }),
                id => json!({ "digest": digest(id), "file_name": "hay" }),
            })
            .collect();
        assert_eq!(service.post("/v1/proofs", &token, &json!({ "proofs": items })).await.status(), StatusCode::CREATED);
    }
    let needle: Value = service.get(&format!("/v1/proofs/{}", digest(13_500)), &token).await.json().await.unwrap();
    let needle = needle["number"].as_u64().expect("a number");
    assert!(needle > 7_000);
    let first: Value = service.get("/v1/proofs?file_name=NEEDLE", &token).await.json().await.unwrap();
    assert_eq!(first, json!({ "proofs": [], "next": 5_000 }), "so many are looked at for a page");
    assert_eq!(numbers(&pages(&service, &token, "file_name=needle", 10).await), [needle]);
    assert_eq!(numbers(&lines(&service, &token, "file_name=needle").await.0), [needle]);
    // A label is found at once.
    let found: Value = service.get("/v1/proofs?label=rare", &token).await.json().await.unwrap();
    assert_eq!((numbers(found["proofs"].as_array().unwrap()), &found["next"]), (vec![needle], &Value::Null));
    let (all, end) = lines(&service, &token, "").await;
    assert_eq!((all.len(), &end["listed"]), (14_000, &14_000.into()));
}

#[tokio::test]
async fn questions_that_are_none_are_refused() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "after=-1",
        "after=9223372036854775807",
        "status=lost",
        "status=refused",
        "label=",
        "file_name=a%00b",
        "received_from=yesterday",
        "batch=18446744073709551615",
        "order=desc",
        "label=a&label=b",
    ] {
        problem(service.get(&format!("/v1/proofs?{query}"), &token).await, 400, "query_invalid").await;
    }
    problem(streamed(&service, &token, "limit=0").await, 400, "query_invalid").await;
    let none: Value = service.get("/v1/proofs?after=9", &token).await.json().await.unwrap();
    assert_eq!(none, json!({ "proofs": [], "next": null }));
    assert_eq!(lines(&service, &token, "limit=5000").await, (vec![], json!({ "listed": 0, "after": 0 })));
}
