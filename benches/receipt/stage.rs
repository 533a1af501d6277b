//! Sealed batches with final anchors, the service over them, and what it is measured against.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Router};
use hyper::StatusCode;
use sceau::api::access::caller::Caller;
use sceau::api::access::token::Scope;
use sceau::api::receipt::Known;
use sceau::api::routes::Access;
use sceau::api::{self, State};
use sceau::ledger::Ledger;
use sceau::ledger::accounts::AccountId;
use sceau::ledger::anchors::Place;
use sceau::ledger::batches::Batch;
use sceau::ledger::intake::{Intake, Limits, Submission};
use sceau::ledger::targets::NewTarget;
use sceau::pipeline::schedule::Schedule;
use sceau::pipeline::seal::Sealer;
use sceau::ports::Ports;
use sceau_verifier::registry::Statement;
use sceau_verifier::{Digest, Trust, Verdict, verify};
use sqlx::postgres::PgPool;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::ask;
use super::chain::Block;
use super::kit::database::Database;
use super::kit::setting::{Partner, listen};

const CONSUMER: &str = "ck_bench";

/// The n-th document of a batch.
pub fn digest(batch: u64, n: u64) -> Digest {
    Digest::of(format!("document {n} of batch {batch}").as_bytes())
}

/// A served router and a token for it; ends with its runtime.
pub struct Served {
    pub address: SocketAddr,
    pub token: String,
}

/// Everything that serves.
pub struct Stage {
    /// As `sceau serve` does.
    pub service: Served,
    /// The same, which remembers nothing.
    pub forgetful: Served,
    /// One row by primary key.
    pub row: Served,
    /// Bytes of a receipt, on average.
    pub length: usize,
    pub database: Database,
    _lanes: JoinSet<()>,
}

impl Stage {
    pub async fn set(entries: u64, batches: u64) -> Result<Self> {
        let database = Database::start(&[("max_wal_size", "4GB")]).await?;
        let (ledger, pool) = (&database.ledger, &database.pool);
        let ports = Ports::system();
        let partner = Partner::new(ledger, CONSUMER).await?;
        let (intake, lanes) = Intake::start(ledger, &ports.entropy, Limits::default());
        let trust = seal(ledger, &intake, partner.credential.account, entries, batches).await?;
        sqlx::query("vacuum analyze").execute(pool).await?;

        let state = || partner.state(ledger, &intake, &ports);
        let (remembers, token) = state()?;
        let service = serve(api::router(remembers), token).await?;
        let mut length = 0;
        for batch in 1..=batches {
            length += first(&service, batch, &trust).await? / batches as usize;
        }
        let (mut forgets, token) = state()?;
        forgets.known = Arc::new(Known::new(0));
        let forgetful = serve(api::router(forgets), token).await?;
        let (plain, token) = state()?;
        let row = serve(by_key(plain, pool.clone(), length), token).await?;
        Ok(Self { service, forgetful, row, length, database, _lanes: lanes })
    }

    /// How often each index was searched so far.
    pub async fn scans(&self) -> Result<Vec<(String, i64)>> {
        Ok(sqlx::query_as("select indexrelname::text, idx_scan from pg_stat_user_indexes order by 1")
            .fetch_all(&self.database.pool)
            .await?)
    }
}

/// Seals batches and anchors them in a final block each, in a state of some thousand accounts.
async fn seal(ledger: &Ledger, intake: &Intake, account: AccountId, entries: u64, batches: u64) -> Result<Trust> {
    let mut trust = Trust::default();
    let block = Block { neighbours: 5_000, transactions: 150, ..Block::default() };
    let target = NewTarget { chain_id: block.chain_id, registry: block.registry, first_number: 1, code_hash: [1; 32] };
    let target = ledger.pin_target(&target).await?;
    let sealer = Sealer {
        ledger: ledger.clone(),
        origin: "bench".into(),
        schedule: Schedule::parse("0 0 0 1 1 *")?,
        threshold: u64::MAX >> 1,
        holder: Uuid::from_u128(1),
    };
    let all = Duration::from_secs(3_600);
    let lease = ledger.lease("publish", Uuid::from_u128(2), all).await?.context("the publisher's lease")?;
    for number in 1..=batches {
        for start in (0..entries).step_by(10_000) {
            let digests = (start..entries.min(start + 10_000)).map(|n| digest(number, n));
            intake.accept(digests.map(|digest| Submission { account, digest, detail: None }).collect()).await?;
        }
        ensure!(sealer.seal_now().await? == Some(number), "batch {number} was not sealed");
        let Some(Batch::Sealed(sealed)) = ledger.batch(number).await? else { anyhow::bail!("batch {number} is not sealed") };
        let block = Block { number: 1_000 + number, time: block.time + 12 * number, ..block.clone() };
        let anchor = block.anchor(&Statement { root: sealed.root.into(), size: sealed.size, number });
        let place = Place {
            tx_hash: anchor.tx_hash.into(),
            tx_index: block.index as u64,
            block_number: block.number,
            block_hash: anchor.block_hash.into(),
            block_time: block.time,
        };
        ledger.include_anchor(&lease, target, number, &place).await?;
        let evidence = serde_json::to_string(&anchor.evidence)?;
        ledger.finalize_anchor(&lease, target, number, &place, &evidence).await?;
        trust.block_hashes.insert(anchor.block_hash);
    }
    Ok(trust)
}

/// Asks for one receipt, checks it as an auditor does, and tells its length.
async fn first(served: &Served, batch: u64, trust: &Trust) -> Result<usize> {
    let digest = digest(batch, 0);
    let bytes = ask::one(served, &format!("/v1/proofs/{digest}/receipt?final=true")).await?;
    let report = verify::verify_bytes(&digest, &bytes, trust);
    ensure!(
        report.verdict == Verdict::Verified,
        "{}: {} {}",
        report.code,
        report.detail,
        String::from_utf8_lossy(&bytes[..bytes.len().min(300)])
    );
    Ok(bytes.len())
}

/// Reads one proof by its primary key, and answers so many bytes.
fn by_key(state: State, pool: PgPool, length: usize) -> Router {
    let handler = async move |caller: Caller, Path(text): Path<String>| {
        let Ok(digest) = text.parse::<Digest>() else { return StatusCode::BAD_REQUEST.into_response() };
        let salt = sqlx::query_scalar::<_, Vec<u8>>("select salt from proofs where account_id = $1 and digest = $2")
            .bind(caller.account.0)
            .bind(digest.as_ref())
            .fetch_optional(&pool)
            .await;
        if !matches!(salt, Ok(Some(_))) {
            return StatusCode::NOT_FOUND.into_response();
        }
        let mut body = format!(r#"{{"format":"sceau-receipt/1","document":{{"digest":"{digest}"}},"rest":""#).into_bytes();
        body.resize(length, b'.');
        ([(CONTENT_TYPE, "application/json")], body).into_response()
    };
    let access = Access::Scope(Scope::ProofsRead);
    Router::new().route("/v1/proofs/{digest}/receipt", get(handler).layer(Extension(access))).with_state(state)
}

async fn serve(router: Router, token: String) -> Result<Served> {
    Ok(Served { address: listen(router).await?, token })
}
