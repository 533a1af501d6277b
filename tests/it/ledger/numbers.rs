//! Running numbers: without a hole whatever fails, and in the batches where they are said to be.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sceau::ledger::Ledger;
use sceau::ledger::accounts::{AccountId, Role};
use sceau::ledger::intake::{Accepted, Detail, Intake, Limits, Submission};
use sceau::ledger::kagesecur::import::DeclaredDocument;
use sceau::ledger::validations::{Asked, Request, Rounds};
use sceau::ports::{Ports, SystemClock, SystemEntropy};
use sceau_verifier::Salt;
use sceau_verifier::decision::Choice;
use sqlx::{PgPool, Row};
use time::OffsetDateTime;

use super::{account, digest, ledger, promising};
use crate::support::database;

/// Numbers that follow one another, drawn from a seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// What the clients of one instance went through.
#[derive(Default)]
struct Log {
    accepted: Vec<(AccountId, Accepted)>,
    failed: u64,
}

struct Client {
    intake: Intake,
    ledger: Ledger,
    accounts: Vec<AccountId>,
    validator: AccountId,
    stop: Arc<AtomicBool>,
}

impl Client {
    /// Submits for several accounts at once or one, old digests and new, what is refused by validators or by a quota, and
    /// decides, and imports.
    async fn run(self, seed: u64) -> Log {
        let (mut draw, mut log) = (Draw(seed), Log::default());
        let ports = Ports { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) };
        while !self.stop.load(Ordering::Relaxed) {
            let account = self.accounts[draw.below(self.accounts.len() as u64) as usize];
            let pick = |draw: &mut Draw| digest(3, draw.below(4_000));
            match draw.below(11) {
                0 => {
                    let one = pick(&mut draw);
                    let request = Request { digest: one, detail: None, again: true };
                    if let Ok(asked) = self.ledger.await_validation(account, &[request], &ports).await
                        && let Asked::Waiting(waiting) = asked[0]
                    {
                        let choice = if draw.below(3) == 0 { Choice::Refused } else { Choice::Approved };
                        let decided = self.ledger.decide(waiting.id, self.validator, choice, "", &SystemEntropy).await;
                        log.failed += u64::from(decided.is_err());
                    }
                }
                1 => {
                    let documents: Vec<DeclaredDocument> = (0..=draw.below(20))
                        .map(|n| (n, pick(&mut draw)))
                        .collect::<BTreeMap<_, _>>()
                        .into_values()
                        .collect::<HashSet<_>>()
                        .into_iter()
                        .map(|digest| DeclaredDocument {
                            account,
                            digest,
                            file_name: "a".into(),
                            declared_at: OffsetDateTime::UNIX_EPOCH,
                        })
                        .collect();
                    let salts = vec![[draw.below(250) as u8; 16]; documents.len()];
                    log.failed += u64::from(self.ledger.import_documents(&documents, &salts).await.is_err());
                }
                2 => {
                    // One that is to wait and others that are not, in one transaction.
                    let wished = pick(&mut draw);
                    let request = Request { digest: wished, detail: None, again: false };
                    let items: Vec<Submission> = (0..=draw.below(20))
                        .map(|_| Submission { account, digest: pick(&mut draw), detail: None })
                        .filter(|item| item.digest != wished)
                        .collect();
                    let salts = vec![Salt::from([draw.below(250) as u8; 16]); items.len()];
                    let rounds = Rounds::draw(std::slice::from_ref(&request), &ports);
                    match self.ledger.await_and_accept(account, &rounds, &items, &salts).await {
                        Ok((_, accepted)) => log.accepted.extend(accepted.into_iter().map(|accepted| (account, accepted))),
                        Err(_) => log.failed += 1,
                    }
                }
                kind => {
                    let mut items: Vec<Submission> = (0..=draw.below(40))
                        .map(|_| {
                            // Several accounts in one call, which the intake makes of several submissions anyway.
                            let others = self.accounts[draw.below(self.accounts.len() as u64) as usize];
                            let account = if kind > 8 { others } else { account };
                            Submission { account, digest: pick(&mut draw), detail: None }
                        })
                        .collect();
                    if kind == 3 {
                        // What Postgres cannot store: the whole call fails, with its neighbours in the same commit.
                        items.last_mut().unwrap().detail = Some(Detail { file_name: Some("\0".into()), ..Detail::default() });
                    }
                    let whose: Vec<AccountId> = items.iter().map(|item| item.account).collect();
                    match self.intake.accept(items).await {
                        Ok(accepted) => log.accepted.extend(whose.into_iter().zip(accepted)),
                        Err(_) => log.failed += 1,
                    }
                }
            }
        }
        log
    }
}

/// Ends connections of the service at random, whatever they are in the middle of.
async fn cut(pool: PgPool, stop: Arc<AtomicBool>) -> u64 {
    let mut ended = 0;
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(60)).await;
        let sql =
            "select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity where datname = current_database()
             and application_name = 'sceau' and state <> 'idle' order by random() limit 1) one";
        let row = sqlx::query(sql).fetch_one(&pool).await.expect("asked");
        ended += row.get::<i64, _>(0) as u64;
    }
    ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn numbers_have_no_hole_whatever_fails() {
    let database = database().await;
    let first = promising(ledger(&database));
    let mut accounts = Vec::new();
    for n in 0..4 {
        accounts.push(account(&first, &format!("partner {n}")).await);
    }
    let validator = first.create_account("notary", Role::Validator, "ck_notary", [0; 32]).await.unwrap();
    for n in 0..4 {
        first.add_validator(&format!("partner {n}"), "notary").await.unwrap();
    }
    // One of them runs out of digests: then a whole call is rolled back after its rows are in.
    sqlx::query("update accounts set digests_per_day = 300 where name = 'partner 3'").execute(&database.pool).await.unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    let mut lanes = Vec::new();
    for instance in 0..2_u64 {
        let own = promising(ledger(&database));
        let limits = Limits { group: 80, lanes: 2, ..Limits::default() };
        let (intake, started) = Intake::start(&own, &(Arc::new(SystemEntropy) as _), limits);
        lanes.push(started);
        for n in 0..4 {
            let (intake, ledger, accounts, stop) = (intake.clone(), own.clone(), accounts.clone(), Arc::clone(&stop));
            let client = Client { intake, ledger, accounts, validator, stop };
            clients.push(tokio::spawn(client.run(instance * 10 + n)));
        }
    }
    let closer = {
        let (pool, stop) = (database.pool.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut closed = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let row = sqlx::query("select close_batch()").fetch_one(&pool).await.expect("closed, or nothing to close");
                closed += u64::from(row.get::<Option<i64>, _>(0).is_some());
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            closed
        })
    };
    let cutter = tokio::spawn(cut(database.pool.clone(), Arc::clone(&stop)));
    tokio::time::sleep(Duration::from_secs(seconds())).await;
    stop.store(true, Ordering::Relaxed);
    let mut log = Log::default();
    for client in clients {
        let own = client.await.expect("a client");
        log.accepted.extend(own.accepted);
        log.failed += own.failed;
    }
    let (closed, ended) = (closer.await.expect("closed"), cutter.await.expect("ended"));

    // What is stored.
    let rows =
        sqlx::query("select account_id, number, batch, received_at, digest, anchor_by from proofs order by account_id, number")
            .fetch_all(&database.pool)
            .await
            .unwrap();
    let mut stored: BTreeMap<(i64, Vec<u8>), (i64, i64)> = BTreeMap::new();
    let mut last: Option<(i64, i64, i64, OffsetDateTime)> = None;
    for row in &rows {
        let now: (i64, i64, i64, OffsetDateTime) = (row.get(0), row.get(1), row.get(2), row.get(3));
        match last {
            Some(before) if before.0 == now.0 => {
                assert_eq!(now.1, before.1 + 1, "account {} has a hole", now.0);
                assert!(now.2 >= before.2 && now.3 >= before.3, "batch and time ascend with the numbers: {before:?} {now:?}");
            }
            _ => assert_eq!(now.1, 1, "account {} begins with 1", now.0),
        }
        assert!(row.get::<Option<OffsetDateTime>, _>(5).is_some_and(|by| by > now.3), "promised");
        stored.insert((now.0, row.get(4)), (now.1, now.2));
        last = Some(now);
    }
    // What was acknowledged is what is stored.
    for (account, accepted) in &log.accepted {
        let key = (account.0, accepted.digest.as_ref().to_vec());
        assert_eq!(stored[&key], (accepted.number as i64, accepted.batch as i64));
    }
    let report = sceau::audit::run(&first, &[], |_| ()).await.expect("a report");
    assert_eq!(report.findings, [], "batch_accounts is exact");
    assert!(log.failed > 0 && ended > 0 && closed > 1, "{} failed, {ended} connections ended, {closed} batches", log.failed);
    eprintln!(
        "{} proofs, {} acknowledged, {} calls failed, {ended} connections ended, {closed} batches: no hole",
        rows.len(),
        log.accepted.len(),
        log.failed
    );
}

/// Control: numbers that do not come back with what fails would leave holes. The database refuses them; without that guard the
/// audit says so.
#[tokio::test]
async fn numbers_from_a_sequence_leave_holes() {
    let database = database().await;
    let ledger = ledger(&database);
    let account = account(&ledger, "holes").await;
    let (intake, _lanes) = Intake::start(&ledger, &(Arc::new(SystemEntropy) as _), Limits::default());
    let broken = "create sequence numbers; do $x$ begin
        execute replace(pg_get_functiondef('accept_new'::regproc), 'i.number, v_anchor_by', 'nextval(''numbers''), v_anchor_by'); end $x$";
    sqlx::raw_sql(broken).execute(&database.pool).await.expect("replaced");
    sqlx::query("update accounts set digests_per_day = 2").execute(&database.pool).await.unwrap();
    let submit = async |numbers: std::ops::Range<u64>| {
        intake.accept(numbers.map(|number| Submission { account, digest: digest(2, number), detail: None }).collect()).await
    };
    assert!(submit(0..1).await.is_ok());
    assert!(submit(1..3).await.is_err(), "two a day");
    let refused = submit(3..4).await.expect_err("a hole").to_string();
    assert!(refused.contains("do not follow"), "{refused}");
    let unguarded = "do $x$ begin
        execute replace(replace(pg_get_functiondef('count_proofs'::regproc), 'v_counted <> v_groups', 'false'),
          'and c.last + 1 = w.first and c.last + w.digests = w.last', ''); end $x$";
    sqlx::raw_sql(unguarded).execute(&database.pool).await.expect("replaced");
    assert!(submit(3..4).await.is_ok());
    let report = sceau::audit::run(&ledger, &[], |_| ()).await.expect("a report");
    let first = report.findings.first().expect("a hole");
    assert_eq!((first.table, &*first.key), ("proofs", &*format!("account_id={}", account.0)));
    assert!(first.what.contains("hole"), "{}", first.what);
}

fn seconds() -> u64 {
    std::env::var("SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(4)
}
