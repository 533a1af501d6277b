//! Table `asides`: endpoints that are not used at present.

use time::OffsetDateTime;

use crate::ledger::{Ledger, Result};

/// An endpoint that a step does not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointAside {
    /// The step.
    pub step: String,
    /// Place of the endpoint in the settings, from 1.
    pub endpoint: u32,
    /// Why, in words.
    pub why: String,
    /// Since when.
    pub since: OffsetDateTime,
}

impl Ledger {
    /// Records which endpoints `step` does not use: place from 1, kind and reason of each. All others are used again. Since
    /// when is kept while the kind of reason stays the same.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_asides(&self, step: &str, asides: &[(u32, &str, String)]) -> Result<()> {
        let endpoints: Vec<i32> = asides.iter().map(|(endpoint, ..)| i32::try_from(*endpoint).unwrap_or(i32::MAX)).collect();
        let kinds: Vec<String> = asides.iter().map(|(_, kind, _)| (*kind).to_owned()).collect();
        let whys: Vec<String> = asides.iter().map(|(.., why)| why.clone()).collect();
        sqlx::query!(
            "with back as (delete from asides where step = $1 and endpoint <> all ($2))
             insert into asides as a (step, endpoint, kind, why)
             select $1, said.endpoint, said.kind, said.why
               from unnest($2::integer[], $3::text[], $4::text[]) as said (endpoint, kind, why)
             on conflict on constraint asides_pkey do update
               set kind = excluded.kind, why = excluded.why, since = excluded.since where a.kind <> excluded.kind",
            step,
            &endpoints,
            &kinds,
            &whys
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Every endpoint that some step does not use.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn asides(&self) -> Result<Vec<EndpointAside>> {
        let rows =
            sqlx::query!("select step, endpoint, why, since from asides order by step, endpoint").fetch_all(self.pool()).await?;
        let aside = |endpoint: i32| u32::try_from(endpoint).unwrap_or_default();
        Ok(rows
            .into_iter()
            .map(|row| EndpointAside { step: row.step, endpoint: aside(row.endpoint), why: row.why, since: row.since })
            .collect())
    }
}
