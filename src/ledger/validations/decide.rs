//! Deciding.

use sceau_verifier::decision::{self, Choice, Statement};
use uuid::Uuid;

use super::super::accounts::AccountId;
use super::super::intake::patiently;
use super::super::intake::promises::Offer;
use super::super::{Ledger, LedgerError, Result};
use super::Validation;
use crate::ports::Entropy;

/// What became of a decision.
#[derive(Debug, Clone)]
pub enum Decided {
    /// It stands, and how the document stands now. Also when the same validator had decided the same before.
    Stands(Box<Validation>),
    /// The same validator decided otherwise before; that stands.
    Differs(Box<Validation>),
    /// Others settled it before.
    Settled(Box<Validation>),
    /// There is no such document for this validator.
    Unknown,
}

impl Ledger {
    /// Records what `validator` decides about the document behind `id`, in one transaction with all that follows from
    /// it. Deciding the same again changes nothing. `comment` has at most [`decision::MAX_COMMENT`] characters and no
    /// U+0000.
    ///
    /// # Errors
    /// When the database fails. Whether the decision was stored is then unknown; deciding again is safe.
    pub async fn decide(
        &self,
        id: Uuid,
        validator: AccountId,
        choice: Choice,
        comment: &str,
        entropy: &dyn Entropy,
    ) -> Result<Decided> {
        let named = sqlx::query!(
            r#"select w.digest, o.name as account, a.name as validator, clock_timestamp() as "now!"
               from validations w join accounts o on o.id = w.account_id
                 join validators v on v.account_id = w.account_id and v.removed_at is null
                 join accounts a on a.id = v.validator_id
               where w.id = $1 and v.validator_id = $2"#,
            id,
            validator.0
        )
        .fetch_optional(self.pool())
        .await?;
        let Some(named) = named else { return Ok(Decided::Unknown) };
        let mut nonce = [0; 16];
        entropy.fill(&mut nonce);
        let statement = Statement {
            document: super::super::fixed::<32>(&named.digest, "validations.digest")?.into(),
            account: named.account,
            validator: named.validator,
            decision: choice,
            comment: comment.into(),
            decided_at: u64::try_from(named.now.unix_timestamp()).unwrap_or_default(),
            nonce: nonce.into(),
        };
        statement.check().map_err(|error| LedgerError::Damaged(format!("a statement cannot be made: {error}")))?;
        let (text, digest) = (statement.to_string(), statement.digest());
        let salt = decision::salt(&digest);
        let (text, now) = (&text, named.now);
        let once = |offer: Offer| async move {
            let outcome = sqlx::query_scalar!(
                r#"select decide($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) as "outcome!""#,
                id,
                validator.0,
                choice.as_str(),
                comment,
                now,
                text,
                digest.as_ref(),
                salt.as_ref(),
                offer.since.as_deref() as _,
                offer.anchor_by.as_deref() as _,
            );
            outcome.fetch_one(self.pool()).await.map_err(LedgerError::from_sql)
        };
        let outcome = patiently(self, || self.with_offer(once)).await?;
        let Some(validation) = self.validation(id, validator).await? else { return Ok(Decided::Unknown) };
        let validation = Box::new(validation);
        Ok(match outcome.as_str() {
            "recorded" | "repeated" => Decided::Stands(validation),
            "differs" => Decided::Differs(validation),
            "settled" => Decided::Settled(validation),
            "unknown" => Decided::Unknown,
            other => return Err(LedgerError::Damaged(format!("decide answered {other:?}"))),
        })
    }
}
