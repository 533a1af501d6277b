//! Everything that is not a submission gets one problem of the table, and nothing is stored.

use reqwest::Method;
use sceau::api::error::Code;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::api::kit::{Service, digest, problem, service};

const DIGEST: &str = "ab6f1c0000000000000000000000000000000000000000000000000000000001";

fn one(item: &Value) -> String {
    json!({ "proofs": [item] }).to_string()
}

fn many(count: u64) -> String {
    json!({ "proofs": (0..count).map(|n| json!({ "digest": digest(n) })).collect::<Vec<_>>() }).to_string()
}

#[tokio::test]
async fn each_bad_body_gets_its_problem_and_nothing_is_stored() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let good = many(3);
    let nested = |depth| {
        format!(r#"{{"proofs":[{{"digest":"{DIGEST}","metadata":{{"a":{}{}}}}}]}}"#, "[".repeat(depth), "]".repeat(depth))
    };
    for (body, status, code, item) in [
        (String::new(), 400, "body_malformed", ""),
        ("nonsense".into(), 400, "body_malformed", ""),
        (good[..good.len() / 2].into(), 400, "body_malformed", ""),
        (format!("{good}x"), 400, "body_malformed", ""),
        ("[".repeat(200_000), 400, "body_malformed", ""),
        (format!("{{\"proofs\":{}", "[".repeat(200_000)), 400, "body_malformed", ""),
        ("{\"proofs\":[\"\u{1}\"]}".into(), 400, "body_malformed", ""),
        ("[]".into(), 422, "body_invalid", ""),
        ("null".into(), 422, "body_invalid", ""),
        ("{}".into(), 422, "body_invalid", ""),
        (json!({ "proofs": {} }).to_string(), 422, "body_invalid", ""),
        (json!({ "proofs": [], "extra": 1 }).to_string(), 422, "body_invalid", ""),
        (format!(r#"{{"proofs":[],"proofs":[{{"digest":"{DIGEST}"}}]}}"#), 422, "body_invalid", ""),
        (json!({ "proofs": [] }).to_string(), 422, "proofs_count", ""),
        (many(10_001), 422, "proofs_count", ""),
        (one(&json!(1)), 422, "proofs_invalid", "item_invalid"),
        (one(&json!({})), 422, "proofs_invalid", "item_invalid"),
        (one(&json!({ "digest": DIGEST, "extra": 1 })), 422, "proofs_invalid", "item_invalid"),
        (format!(r#"{{"proofs":[{{"digest":"{DIGEST}","digest":"{DIGEST}"}}]}}"#), 422, "proofs_invalid", "item_invalid"),
        (format!(r#"{{"proofs":[{{"digest":"{DIGEST}","file_name":"\ud800"}}]}}"#), 422, "proofs_invalid", "item_invalid"),
        (format!(r#"{{"proofs":[{{"digest":"{DIGEST}","metadata":{{"a":1e999}}}}]}}"#), 422, "proofs_invalid", "item_invalid"),
        (nested(200), 422, "proofs_invalid", "item_invalid"),
        (nested(100_000), 422, "proofs_invalid", "item_invalid"),
        (one(&json!({ "digest": DIGEST.replace("ab", "xy") })), 422, "proofs_invalid", "digest_invalid"),
        (one(&json!({ "digest": DIGEST.to_uppercase() })), 422, "proofs_invalid", "digest_invalid"),
        (one(&json!({ "digest": DIGEST[1..] })), 422, "proofs_invalid", "digest_invalid"),
        (one(&json!({ "digest": format!("{DIGEST}0") })), 422, "proofs_invalid", "digest_invalid"),
        (one(&json!({ "digest": "" })), 422, "proofs_invalid", "digest_invalid"),
        (one(&json!({ "digest": DIGEST, "file_name": "a\u{0}b" })), 422, "proofs_invalid", "nul_character"),
        (one(&json!({ "digest": DIGEST, "metadata": { "a": { "b": "\u{0}" } } })), 422, "proofs_invalid", "nul_character"),
        (one(&json!({ "digest": DIGEST, "metadata": { "a": "x".repeat(5000) } })), 422, "proofs_invalid", "metadata_too_large"),
        (one(&json!({ "digest": DIGEST, "file_name": "x".repeat(256) })), 422, "proofs_invalid", "file_name_too_long"),
    ] {
        println!("{} …", body.chars().take(100).collect::<String>());
        let found = problem(service.send(Method::POST, "/v1/proofs", &token, Some(body)).await, status, code).await;
        assert_eq!(found["errors"][0]["code"].as_str().unwrap_or_default(), item);
        assert_eq!(code == "body_malformed", found["line"].is_u64() && status == 400);
        assert!(Code::parse(code).is_some_and(|code| code.status().as_u16() == status));
        assert_eq!(service.stored().await, 0);
    }
    let lower = problem(
        service.send(Method::POST, "/v1/proofs", &token, Some(one(&json!({ "digest": DIGEST.to_uppercase() })))).await,
        422,
        "proofs_invalid",
    )
    .await;
    assert!(lower["errors"][0]["detail"].as_str().unwrap().contains("lower case"));
}

#[tokio::test]
async fn bad_items_are_listed_by_position_and_spoil_the_good_ones() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let mut proofs: Vec<Value> = (0..500).map(|n| json!({ "digest": digest(n) })).collect();
    for at in (0..500).step_by(2) {
        proofs[at] = json!({ "digest": "no" });
    }
    let found = problem(service.post("/v1/proofs", &token, &json!({ "proofs": proofs })).await, 422, "proofs_invalid").await;
    assert_eq!(found["error_count"], 250);
    let listed: Vec<u64> = found["errors"].as_array().unwrap().iter().map(|error| error["index"].as_u64().unwrap()).collect();
    assert_eq!(listed, (0..100).map(|n| n * 2).collect::<Vec<_>>());
    assert_eq!(service.stored().await, 0);
}

#[tokio::test]
async fn other_media_types_are_refused() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let post = || service.client.post(format!("{}/v1/proofs", service.base)).bearer_auth(&token).body(many(1));
    for media in ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "application/json-patch+json"] {
        problem(post().header("content-type", media).send().await.unwrap(), 415, "media_type_unsupported").await;
    }
    problem(post().send().await.unwrap(), 415, "media_type_unsupported").await;
    let coded = post().header("content-type", "application/json").header("content-encoding", "gzip");
    problem(coded.send().await.unwrap(), 415, "media_type_unsupported").await;
    assert_eq!(service.stored().await, 0);
    assert_eq!(post().header("content-type", "Application/JSON; charset=utf-8").send().await.unwrap().status(), 201);
}

#[tokio::test]
async fn bytes_that_are_no_utf8_are_no_json() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    for bytes in [&b"\xff"[..], b"{\"proofs\":[\"\xff\"]}", b"\xef\xbb\xbf{}"] {
        let request = service
            .client
            .post(format!("{}/v1/proofs", service.base))
            .bearer_auth(&token)
            .header("content-type", "application/json");
        let answer = request.body(bytes.to_vec()).send().await.unwrap();
        problem(answer, 400, "body_malformed").await;
    }
}

/// Sends `head` and `body`, then reads what comes back until the connection ends.
async fn raw(service: &Service, head: &str, body: impl Iterator<Item = Vec<u8>>) -> (String, usize) {
    let stream = tokio::net::TcpStream::connect(service.address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    writer.write_all(head.as_bytes()).await.unwrap();
    let reading = tokio::spawn(async move {
        let mut text = Vec::new();
        let _ = reader.read_to_end(&mut text).await;
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut sent = 0;
    for chunk in body {
        if reading.is_finished() || writer.write_all(&chunk).await.is_err() {
            break;
        }
        sent += chunk.len();
    }
    (reading.await.unwrap(), sent)
}

#[tokio::test]
async fn a_hundred_megabytes_are_refused_unread() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    let head = |framing: &str| {
        format!(
            "POST /v1/proofs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n{framing}\r\nconnection: close\r\n\r\n"
        )
    };
    // Announced: answered although not one byte of the body was sent.
    let (text, _) = raw(&service, &head("content-length: 100000000"), std::iter::empty()).await;
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
    assert!(text.contains("\"code\":\"body_too_large\""), "{text}");
    // Not announced: cut off soon after the limit.
    let chunk = [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat();
    let (text, sent) = raw(&service, &head("transfer-encoding: chunked"), std::iter::repeat_n(chunk, 1600)).await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 413 "), "{text}");
    assert!(sent < 50_000_000, "{sent} bytes were taken");
    assert_eq!(service.stored().await, 0);
    service.submit(&token, &[digest(1)]).await;
}

#[tokio::test]
async fn without_a_token_no_body_is_read() {
    let service = service().await;
    let head = "POST /v1/proofs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n";
    let (text, _) = raw(&service, head, std::iter::empty()).await;
    assert!(text.starts_with("HTTP/1.1 401 "), "{text}");
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems_too() {
    let service = service().await;
    let (_, token) = service.partner("a").await;
    for path in ["/", "/v1", "/v1/", "/v2/proofs", "/v1/proofs/", "/v1/proofs/a/b/c", "/v1/%ff", "/healthz/", "/problems/nothing"]
    {
        problem(service.get(path, &token).await, 404, "not_found").await;
    }
    for (method, path, allowed) in [
        (Method::DELETE, "/v1/proofs", "POST,GET,HEAD"),
        (Method::GET, "/v1/verify", "POST"),
        (Method::PUT, "/v1/verify", "POST"),
        (Method::POST, "/v1/batches/1", "GET,HEAD"),
        (Method::PATCH, "/healthz", "GET,HEAD"),
    ] {
        let answer = service.send(method, path, &token, None).await;
        assert_eq!(answer.headers()["allow"], allowed, "{path}");
        problem(answer, 405, "method_not_allowed").await;
    }
    for text in ["x", &DIGEST.to_uppercase(), &DIGEST[1..], "%00"] {
        problem(service.get(&format!("/v1/proofs/{text}"), &token).await, 400, "digest_invalid").await;
    }
    problem(service.get("/v1/proofs/%ff", &token).await, 400, "bad_request").await;
    for query in ["final=maybe", "other=1", "final=true&final=true"] {
        problem(service.get(&format!("/v1/proofs/{DIGEST}/receipt?{query}"), &token).await, 400, "query_invalid").await;
    }
    let listed: Value = service.get("/problems", "").await.json().await.unwrap();
    assert_eq!(listed["problems"].as_array().unwrap().len(), Code::ALL.len());
    let described: Value = service.get("/problems/pool_full", "").await.json().await.unwrap();
    assert_eq!(described["status"], 503);
}

#[tokio::test]
async fn client_request_ids_are_not_taken() {
    let service = service().await;
    let get = || service.client.get(format!("{}/healthz", service.base)).header("x-request-id", "mine").send();
    let (one, two) = (get().await.unwrap(), get().await.unwrap());
    assert_ne!(one.headers()["x-request-id"], "mine");
    assert_ne!(one.headers()["x-request-id"], two.headers()["x-request-id"]);
}
