//! Receipts of an instance that remembers what they have in common are, at every moment, those of one that remembers nothing.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use sceau::api::receipt::Known;
use sceau_verifier::{receipt, verify};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::kit::{Service, digest, problem, service};
use super::receipt::{REGISTRY, finish, include, target};

const OTHER: [u8; 20] = [0x5b; 20];

struct Pair {
    service: Service,
    forgetful: Service,
    token: String,
    count: u64,
}

impl Pair {
    /// Asks both for all receipts; tells the anchors of one, how many of them are proven, and what the caches are told.
    async fn same(&self) -> (usize, usize, String) {
        let mut last = None;
        for number in 0..self.count {
            let mut answers = Vec::new();
            for service in [&self.service, &self.service, &self.forgetful] {
                let answer = service.get(&format!("/v1/proofs/{}/receipt", digest(number)), &self.token).await;
                assert_eq!(answer.status(), StatusCode::OK);
                let head = ["etag", "cache-control"].map(|name| answer.headers()[name].to_str().unwrap().to_owned());
                answers.push((head, answer.bytes().await.unwrap()));
            }
            assert!(answers[0] == answers[2] && answers[1] == answers[2], "{number}: {answers:?}");
            let ([tag, cache], bytes) = answers.remove(0);
            let receipt = receipt::parse(&bytes).unwrap();
            assert_eq!(receipt.document.digest, digest(number));
            verify::check_structure(&receipt).unwrap();
            let proven = receipt.anchors.iter().filter(|anchor| anchor.evidence.is_some()).count();
            let found = (receipt.anchors.len(), proven, cache);
            assert!(last.replace((found, tag.clone())).is_none_or(|(_, before)| before != tag), "a tag of its own");
        }
        last.unwrap().0
    }

    async fn change(&self, sql: &str) {
        let changed = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&self.service.database.pool).await.unwrap();
        assert!(changed.rows_affected() > 0, "{sql}");
    }
}

#[tokio::test]
async fn what_is_remembered_is_never_stale() {
    let service = service().await;
    let (account, token) = service.partner("a").await;
    let first = target(&service, 31_337, REGISTRY).await;
    let count = 300;
    service.submit(&token, &(0..count).map(digest).collect::<Vec<_>>()).await;
    let batch = service.seal().await;
    let forgetful = service.twin(|state| state.known = Arc::new(Known::new(0))).await;
    let pair = Pair { service, forgetful, token, count };
    let (open, forever) = ("no-store".to_owned(), "private, max-age=31536000, immutable".to_owned());

    let place = include(&pair.service, first, batch, 31_337, REGISTRY).await;
    assert_eq!(pair.same().await, (1, 0, open.clone()));
    finish(&pair.service, first, batch, &place).await;
    assert_eq!(pair.same().await, (1, 1, forever.clone()));

    // A second registry: planned, in a block, gone from it, in it again, final.
    let second = target(&pair.service, 10, OTHER).await;
    let place = include(&pair.service, second, batch, 10, OTHER).await;
    assert_eq!(pair.same().await, (2, 1, open.clone()));
    let lease = pair.service.ledger.lease("publish", Uuid::from_u128(2), Duration::from_secs(60)).await.unwrap().unwrap();
    pair.service.ledger.regress_anchor(&lease, second, batch, "reorganised").await.unwrap();
    assert_eq!(pair.same().await, (1, 1, open.clone()));
    let again = include(&pair.service, second, batch, 10, OTHER).await;
    finish(&pair.service, second, batch, &again).await;
    assert_eq!(place.0, again.0);
    assert_eq!(pair.same().await, (2, 2, forever.clone()));

    // What was final is taken back by hand, comes again, and is withdrawn.
    pair.change(&format!("update anchors set state = 'included', evidence = null where target_id = {}", first.0)).await;
    assert_eq!(pair.same().await, (2, 1, open));
    pair.change(&format!(
        "update anchors set state = 'withdrawn', tx_hash = null, tx_index = null, block_number = null, block_hash = null,
         block_time = null where target_id = {}",
        first.0
    ))
    .await;
    assert_eq!(pair.same().await, (1, 1, forever));

    // One is erased; another is no longer the one that was sealed.
    pair.service.ledger.erase(account.id, &digest(7), "a").await.unwrap();
    problem(pair.service.get(&format!("/v1/proofs/{}/receipt", digest(7)), &pair.token).await, 410, "proof_erased").await;
    let bend = format!("update proofs set salt = decode(md5('x'), 'hex') where digest = '\\x{}'", digest(8));
    pair.change(&bend).await;
    problem(pair.service.get(&format!("/v1/proofs/{}/receipt", digest(8)), &pair.token).await, 500, "internal").await;
    let answer = pair.service.get(&format!("/v1/proofs/{}/receipt", digest(9)), &pair.token).await;
    assert_eq!(answer.status(), StatusCode::OK);
}
