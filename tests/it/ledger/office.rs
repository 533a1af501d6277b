//! An account, its validators, and what they do.

use std::sync::Arc;

use sceau::ledger::Ledger;
use sceau::ledger::accounts::{AccountId, Role};
use sceau::ledger::intake::{Detail, Intake, IntakeError, Limits, Submission};
use sceau::ledger::validations::{Asked, Decided, Request, Validation, Waiting};
use sceau::ports::{Entropy, Ports, SystemClock, SystemEntropy};
use sceau_verifier::Digest;
use sceau_verifier::decision::Choice;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{account, digest, ledger};
use crate::support::{Database, database};

pub struct Office {
    pub database: Database,
    pub ledger: Ledger,
    pub intake: Intake,
    pub ports: Ports,
    pub owner: AccountId,
    pub validators: Vec<AccountId>,
    _lanes: JoinSet<()>,
}

/// An account that wants `needed` approvals, and `count` validators of it.
pub async fn office(needed: u32, count: usize) -> Office {
    let database = database().await;
    let ledger = ledger(&database);
    let owner = account(&ledger, "owner").await;
    let mut validators = Vec::new();
    for n in 0..count {
        let name = format!("notary {n}");
        validators.push(ledger.create_account(&name, Role::Validator, &format!("ck_n{n}"), [0; 32]).await.unwrap());
        ledger.add_validator("owner", &name).await.unwrap();
    }
    ledger.require_approvals("owner", needed).await.unwrap();
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let (intake, lanes) = Intake::start(&ledger, &entropy, Limits::default());
    let ports = Ports { clock: Arc::new(SystemClock), entropy };
    Office { database, ledger, intake, ports, owner, validators, _lanes: lanes }
}

pub fn request(number: u64) -> Request {
    let detail = Detail { file_name: Some(format!("acte {number}.pdf")), ..Detail::default() };
    Request { digest: digest(9, number), detail: Some(detail), again: false }
}

impl Office {
    pub async fn ask(&self, request: Request) -> Asked {
        self.ledger.await_validation(self.owner, &[request], &self.ports).await.expect("stored")[0]
    }

    pub async fn wait(&self, number: u64) -> Waiting {
        match self.ask(request(number)).await {
            Asked::Waiting(waiting) => waiting,
            Asked::Accepted(accepted) => panic!("{accepted:?}"),
        }
    }

    pub async fn decide(&self, id: Uuid, validator: usize, choice: Choice) -> Decided {
        let by = self.validators[validator];
        self.ledger.decide(id, by, choice, "vu", self.ports.entropy.as_ref()).await.expect("decided")
    }

    pub async fn stands(&self, id: Uuid, validator: usize, choice: Choice) -> Validation {
        match self.decide(id, validator, choice).await {
            Decided::Stands(validation) => *validation,
            other => panic!("{other:?}"),
        }
    }

    pub async fn submit(&self, digest: Digest) -> Result<bool, IntakeError> {
        let item = Submission { account: self.owner, digest, detail: None };
        self.intake.accept(vec![item]).await.map(|accepted| accepted[0].fresh)
    }

    pub async fn batch_of(&self, digest: &Digest) -> Option<u64> {
        self.ledger.proof(self.owner, digest).await.unwrap().map(|proof| proof.batch)
    }

    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.database.pool).await.unwrap()
    }
}
