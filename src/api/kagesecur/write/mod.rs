//! `POST /writeProof`: registering documents.

mod item;
mod quota;
mod register;

use std::collections::HashMap;

use axum::Json;
use axum::extract::Request;
use serde::Serialize;

use self::item::{Flag, Item, MOST};
use super::session::{self, Claimed, Session};
use super::{Dialect, texts};
use crate::api::access::secret::Domain;
use crate::api::body::{Items, parse};
use crate::api::error::{Code, Result};
use crate::ledger::accounts::{AccountId, Role};
use crate::ledger::kagesecur::identities::Identity;

#[derive(serde::Deserialize)]
struct Body<'a> {
    #[serde(borrow, rename = "allDatas")]
    items: Option<&'a serde_json::value::RawValue>,
    #[serde(default, rename = "checkedExterne")]
    waits: Flag,
    #[serde(default, rename = "checkedVisible")]
    visible: Flag,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Resultat {
    Text(&'static str),
    Map(item::ByName),
}

#[derive(Debug, Serialize)]
struct Answer {
    resultat: Resultat,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Vec<item::Told>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt: Option<String>,
}

/// Answers after the commit. An item that is not in order is refused by itself, and nothing of it is stored.
///
/// # Errors
/// [`Code::AuthenticationFailed`], [`Code::AddressRefused`], [`Code::RateLimited`], [`Code::ProofsCount`], [`Code::PoolFull`], [`Code::Unavailable`].
pub(super) async fn write(dialect: Dialect, request: Request) -> Result<Json<impl Serialize>> {
    let (head, stream) = request.into_parts();
    let session = Session::of(&dialect, &head.headers)?;
    let bytes = session::read_body(&dialect, &head.headers, stream).await?;
    let asker = session.asker(&dialect, &head, &parse::<Claimed<'_>>(&bytes)?).await?;
    let (resultat, details) = match asker {
        None => (Resultat::Text(texts::UTILISATEUR_INTROUVABLE), None),
        Some(asker) if !asker.is_subscribed(dialect.api.ports.clock.now()) => (Resultat::Text(texts::ABONNEMENT_EXPIRE), None),
        Some(asker) => of_asker(&dialect, &asker, parse(&bytes)?).await?,
    };
    Ok(Json(Answer { resultat, details, jwt: session.renewed(&dialect) }))
}

async fn of_asker(dialect: &Dialect, asker: &Identity, body: Body<'_>) -> Result<(Resultat, Option<Vec<item::Told>>)> {
    let items = body.items.and_then(|items| serde_json::from_str::<Items<'_, MOST>>(items.get()).ok());
    let (Some(items), Some(waits), Some(visible)) = (items, body.waits.0, body.visible.0) else {
        return Ok((Resultat::Text(texts::NON_CONFORME), None));
    };
    if items.count > MOST {
        return Err(Code::ProofsCount.with(format!("a request has at most {MOST} items, this has {}", items.count)));
    }
    let items: Vec<Item> = items.kept.into_iter().map(|raw| Item::read(raw, &dialect.told.nodes)).collect();
    let owners = owners(dialect, asker, &items).await?;
    let outcomes = register::register(dialect, &items, &owners, waits, visible).await?;
    Ok((Resultat::Map(item::ByName::of(&items, &outcomes)), item::told(items, outcomes)))
}

/// For whom the asker may register: itself, and for a manager its clients. Others are not told apart from nobody.
async fn owners(dialect: &Dialect, asker: &Identity, items: &[Item]) -> Result<HashMap<String, Identity>> {
    let hash = |empreinte: &str| dialect.api.pepper.keyed(Domain::Empreinte, empreinte.as_bytes());
    let mut names: HashMap<[u8; 32], &str> = HashMap::new();
    for document in items.iter().filter_map(|item| item.document.as_ref().ok()) {
        names.entry(hash(&document.owner)).or_insert(&document.owner);
    }
    let mut found = HashMap::new();
    if let Some(own) = names.remove(&asker.empreinte_hash) {
        found.insert(own.to_owned(), asker.clone());
    }
    if asker.role == Role::Manager && !names.is_empty() {
        let hashes: Vec<[u8; 32]> = names.keys().copied().collect();
        let others = dialect.api.ledger.identities(&hashes).await?;
        let accounts: Vec<AccountId> = others.iter().map(|identity| identity.account).collect();
        let clients = dialect.api.ledger.clients_among(asker.account, &accounts).await?;
        for other in others.into_iter().filter(|identity| clients.contains(&identity.account)) {
            found.insert(names[&other.empreinte_hash].to_owned(), other);
        }
    }
    Ok(found)
}
