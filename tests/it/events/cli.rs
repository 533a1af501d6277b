//! `sceau events` and `sceau webhook` against the API itself.

use sceau::ledger::accounts::Role;
use serde_json::Value;

use super::receiver::Receiver;
use super::{Running, service, tell};
use crate::api::kit::digest;
use crate::cli::command::Place;

#[tokio::test(flavor = "multi_thread")]
async fn events_are_shown_and_webhooks_kept_from_the_command_line() {
    let service = service().await;
    let account = service.account("a", Role::Partner).await;
    let token = service.token(&account).await;
    let place = Place::new()
        .with("SCEAU_API_URL", &service.base)
        .with("SCEAU_CONSUMER_KEY", &account.key)
        .with("SCEAU_CONSUMER_SECRET", &account.secret);
    let run = |words: Vec<String>| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        tokio::task::block_in_place(|| place.run(&words))
    };
    let run = |words: &str| run(words.split(' ').map(str::to_owned).collect());
    let receiver = Receiver::new([]).await;
    let made = run(&format!("webhook add {} --type proofs.sealed", receiver.url())).ends(0).stdout.clone();
    let (id, secret) = made.trim().split_once("  ").expect("id and secret");
    assert!(secret.starts_with("whsec_"), "{made}");
    service.submit(&token, &[digest(1), digest(2)]).await;
    service.seal().await;
    tell(&service.ledger).await;
    let said = run("events").ends(0).stdout.clone();
    assert!(said.starts_with("     1  20") && said.ends_with("  proofs.sealed       batch 1  proofs 1 to 2\n"), "{said}");
    assert_eq!(run("events --after 1").ends(0).stdout, "");
    let lines = run("events --json").ends(0).json();
    assert_eq!(lines[0], service.json("/v1/events", &token).await["events"][0]);
    run("events --after 2").ends(1);

    let _running = Running::start(&service);
    receiver.until("sent", |got| got.len() == 1).await;
    run(&format!("webhook test {id}")).ends(0);
    tell(&service.ledger).await;
    receiver.until("tested", |got| got.len() == 2).await;
    let listed = loop {
        let listed = run("webhook list").ends(0).stdout.clone();
        if listed.contains("0 behind") {
            break listed;
        }
    };
    assert_eq!(listed, format!("{id}  active  at 2, 0 behind  {}\n", receiver.url()));
    let history: Vec<Value> = run(&format!("webhook deliveries --json {id}")).ends(0).json();
    assert_eq!(history.iter().map(|one| one["seq"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 1]);
    assert!(
        run(&format!("webhook deliveries {id}")).ends(0).stdout.contains("  webhook.test        try 1  taken            204  ")
    );
    run(&format!("webhook resume {id} --after 0")).ends(0);
    receiver.until("again", |got| got.len() == 4).await;
    assert!(run(&format!("webhook rotate {id} --overlap 60")).ends(0).stdout.starts_with("whsec_"));
    assert_eq!(run(&format!("webhook remove {id}")).ends(0).stdout, format!("removed {id}\n"));
    assert_eq!(run("webhook list").ends(0).stdout, "");
    run(&format!("webhook test {id}")).ends(1);
}
