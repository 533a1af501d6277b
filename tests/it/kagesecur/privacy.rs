//! Who may know of what; and that both dialects see the same proofs.

use sceau::ledger::accounts::Role;
use serde_json::json;

use super::kit::{kage, sha256};

#[tokio::test]
async fn others_learn_of_a_document_only_when_its_owner_wants() {
    let kage = kage().await;
    let (alice, bob) = (kage.speaker("alice", Role::Client).await, kage.speaker("bob", Role::Client).await);
    let (of_alice, of_bob) = (kage.login(&alice).await, kage.login(&bob).await);
    let (hidden, shown) = (sha256("hidden"), sha256("shown"));
    let mut body = alice.named();
    body["allDatas"] = json!([alice.item(&hidden, "h")]);
    kage.ask("/writeProof", &of_alice, &body).await;
    body["allDatas"] = json!([alice.item(&shown, "s")]);
    body["checkedVisible"] = true.into();
    kage.ask("/writeProof", &of_alice, &body).await;

    let absent = kage.verify(&bob, &of_bob, &sha256(sha256("nobody's"))).await;
    assert_eq!(absent, json!({ "resultat": "Ce document n'est pas enregistré." }));
    assert_eq!(kage.verify(&bob, &of_bob, &sha256(&hidden)).await, absent, "not told apart from a document nobody has");
    let foreign = kage.verify(&bob, &of_bob, &sha256(&shown)).await;
    assert_eq!(foreign, json!({ "resultat": "Ce document ne vous appartient pas." }));
    // Nobody blocks a document by registering it first.
    for hash in [&hidden, &shown] {
        assert_eq!(kage.write(&bob, &of_bob, json!([bob.item(hash, "b")])).await["resultat"], json!({ "b": true }));
        assert_eq!(kage.verify(&bob, &of_bob, &sha256(hash)).await["fileName"], "b");
        assert_ne!(kage.verify(&alice, &of_alice, &sha256(hash)).await["fileName"], "b");
    }
    // What was said first stays: registering again does not show what was hidden.
    let carol = kage.speaker("carol", Role::Client).await;
    let of_carol = kage.login(&carol).await;
    body["allDatas"] = json!([alice.item(&hidden, "h")]);
    assert_eq!(kage.ask("/writeProof", &of_alice, &body).await["resultat"]["h"], "Ce document est déjà enregistré.");
    assert_eq!(kage.verify(&carol, &of_carol, &sha256(&hidden)).await, absent);
}

#[tokio::test]
async fn one_proof_is_seen_through_both_dialects() {
    let kage = kage().await;
    // Submitted before the account had an identity, after it, and by an account that never has one.
    let account = kage.service.account("alice", Role::Partner).await;
    let token = kage.service.token(&account).await;
    let before: Vec<_> = (0..25).map(crate::api::kit::digest).collect();
    kage.service.submit(&token, &before).await;
    let (_, other) = kage.service.partner("bob").await;
    kage.service.submit(&other, &before[..5]).await;
    assert_eq!(kage.count("doubled_digests").await, 0);

    let alice = kage.identify(account, "alice", "clef").await;
    let after = crate::api::kit::digest(99);
    kage.service.submit(&token, &[after, before[0]]).await;
    assert_eq!(kage.count("doubled_digests").await, 26);
    let own = kage.login(&alice).await;
    for digest in before.iter().chain([&after]) {
        let found = kage.verify(&alice, &own, &sha256(digest.to_string())).await;
        assert_eq!(found["resultat"], "Votre document est enregistré.", "{digest}");
        assert_eq!(found["fileName"], "");
    }
    assert_eq!(
        kage.write(&alice, &own, json!([alice.item(&before[3].to_string(), "x")])).await["resultat"]["x"],
        "Ce document est déjà enregistré."
    );
    kage.service.submit(&other, &[crate::api::kit::digest(100)]).await;
    assert_eq!(kage.count("doubled_digests").await, 26, "accounts without an identity pay nothing");
}

#[tokio::test]
async fn an_identity_made_amid_submissions_misses_none() {
    let kage = kage().await;
    let account = kage.service.account("alice", Role::Partner).await;
    let digest = crate::api::kit::digest(1);
    // A submission in flight: inserted, not committed. It does not see the identity, and nobody sees its proof.
    let mut flight = kage.service.database.pool.begin().await.unwrap();
    sqlx::query("select accept_proofs(array[$1], array[$2], array[$3], null)")
        .bind(account.id.0)
        .bind(digest.as_ref())
        .bind([1_u8; 16].as_slice())
        .execute(&mut *flight)
        .await
        .unwrap();
    let identifying = async {
        // Holding submissions off is given up after two seconds, which pass on a busy machine.
        while kage.service.ledger.set_identity("alice", "alice", &[5; 32]).await.is_err() {}
    };
    let committing = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        flight.commit().await.unwrap();
    };
    tokio::join!(identifying, committing);
    assert_eq!(kage.count("doubled_digests").await, 1, "it is brought in all the same");
    let alice = kage.identify(account, "alice", "clef").await;
    let own = kage.login(&alice).await;
    let found = kage.verify(&alice, &own, &sha256(digest.to_string())).await;
    assert_eq!(found["resultat"], "Votre document est enregistré.");
}
