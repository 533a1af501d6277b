//! Which API is asked, by whom, and over what.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use axum_server::tls_rustls::RustlsConfig;
use serde_json::json;

use crate::cli::api::{Api, KEY, Model, SECRET, digest, router};
use crate::cli::command::Place;

#[test]
fn nothing_given_and_no_local_stack_is_a_usage_error() {
    let place = Place::new();
    place.file("a", "x");
    place.run(&["submit", "a"]).ends(2).briefly().says(&["--api-url", "SCEAU_CONSUMER_SECRET", "sceau dev"]);
    place
        .run(&["submit", "a", "--api-url", "https://sceau.example"])
        .ends(2)
        .briefly()
        .says(&["--consumer-key", "SCEAU_CONSUMER_KEY"]);
    place.run(&["submit", "a", "--consumer-key", "k"]).ends(2).briefly().says(&["--api-url"]);
    for url in ["sceau.example", "ftp://sceau.example", "mailto:x"] {
        place
            .run(&["submit", "a", "--api-url", url, "--consumer-key", "k", "--consumer-secret", "s"])
            .ends(1)
            .briefly()
            .says(&[url]);
    }
}

#[test]
fn the_local_stack_is_found_from_a_folder_below() {
    let api = Api::start();
    let place = Place::new();
    let account = |role: &str, key: &str| json!({ "role": role, "consumer_key": key, "consumer_secret": SECRET, "name": "x" });
    let dev = json!({
        "api_url": api.url(), "ca_cert": null, "rpc_url": "http://127.0.0.1:1", "chain_id": 31337, "registry": "0x00",
        "accounts": [account("manager", "ck_other"), account("partner", KEY), account("partner", "ck_third")],
    });
    place.file(".sceau/dev.json", dev.to_string());
    place.file("below/further/a", "x");
    let run = place.command(&["submit", "a"]).current_dir(place.path("below/further")).output().expect("run");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(api.items().len(), 1);
    // What is given wins over it as a whole: half of one and half of the other would send a secret to a stranger.
    place.run(&["status", &digest("x"), "--api-url", "http://127.0.0.1:1"]).ends(2).says(&["--consumer-key"]);
    place.file(".sceau/dev.json", "{}");
    place.run(&["status", &digest("x")]).ends(1).briefly().says(&["dev.json", "api_url"]);
}

#[test]
fn no_proxy_stands_between_here_and_here() {
    let api = Api::start();
    let place = api.place().with("HTTP_PROXY", "http://127.0.0.1:1").with("http_proxy", "http://127.0.0.1:1");
    place.file("a", "x");
    place.run(&["submit", "a"]).ends(0);
}

#[test]
fn the_secret_may_be_in_a_file() {
    let api = Api::start();
    let place = api.place().with("SCEAU_CONSUMER_SECRET", "");
    let file = place.file("secret", format!("{SECRET}\n"));
    place.file("a", "x");
    let file = file.to_str().expect("a name");
    place.run(&["submit", "--consumer-secret-file", file, "a"]).ends(0);
    place.run(&["submit", "--consumer-secret-file", "none", "a"]).ends(1).briefly().says(&["none: No such file"]);
    place.run(&["submit", "a"]).ends(2).says(&["--consumer-secret-file", "SCEAU_CONSUMER_SECRET"]);
}

#[test]
fn a_certificate_is_trusted_only_when_given() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    _ = rustls::crypto::ring::default_provider().install_default();
    let tls = RustlsConfig::from_pem(made.cert.pem().into(), made.signing_key.serialize_pem().into());
    let tls = runtime.block_on(tls).expect("usable");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("set");
    let url = format!("https://localhost:{}", listener.local_addr().expect("bound").port());
    let model = Arc::new(Mutex::new(Model::default()));
    let server = runtime.block_on(async { axum_server::from_tcp_rustls(listener, tls) }).expect("a server");
    runtime.spawn(server.serve(router(model.clone()).into_make_service()));

    let place = Place::new().with("SCEAU_API_URL", &url).with("SCEAU_CONSUMER_KEY", KEY).with("SCEAU_CONSUMER_SECRET", SECRET);
    place.file("ca.pem", made.cert.pem());
    place.file("a", "x");
    place.run(&["submit", "--ca-cert", "ca.pem", "a"]).ends(0);
    let seen = model.lock().expect("not poisoned").seen.len();
    let run = place.run(&["submit", "a"]);
    run.ends(1).briefly().says(&[&url, "certificate"]);
    assert!(!run.stderr.contains("trying again"), "a certificate does not become trusted by waiting: {}", run.stderr);
    assert_eq!(model.lock().expect("not poisoned").seen.len(), seen, "nothing was sent");
    place.run(&["submit", "--ca-cert", "a", "a"]).ends(1).briefly().says(&["CA certificate"]);
    runtime.shutdown_background();
}
