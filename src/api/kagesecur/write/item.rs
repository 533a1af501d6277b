//! One item of `/writeProof`, and what is said about it.

use std::collections::HashMap;

use sceau_verifier::Digest;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::session::{is_hash, text};
use super::super::texts;

/// Items in one request at most, as in a submission of the partner API.
pub(super) const MOST: usize = 10_000;
/// Characters of a file name at most.
const NAME: usize = 255;

/// A switch of the request: `None` when it is neither on nor off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag(pub Option<bool>);

impl Default for Flag {
    fn default() -> Self {
        Self(Some(false))
    }
}

impl<'de> Deserialize<'de> for Flag {
    /// A switch that cannot be understood must not count as off: the document would be sealed without its validator.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::Null => Some(false),
            Value::Bool(on) => Some(on),
            Value::String(word) if word == "true" => Some(true),
            Value::String(word) if word == "false" => Some(false),
            _ => None,
        }))
    }
}

/// One item: its name where it has one, and the document, or why it cannot be taken.
#[derive(Debug)]
pub(super) struct Item {
    pub file_name: Option<String>,
    pub hash: Option<String>,
    pub document: Result<Document, Outcome>,
}

/// What is to be registered, and for whom.
#[derive(Debug)]
pub(super) struct Document {
    /// An empreinte.
    pub owner: String,
    pub digest: Digest,
}

#[derive(Deserialize, Default)]
struct Members<'a> {
    #[serde(borrow)]
    empreinte: Option<&'a RawValue>,
    #[serde(borrow)]
    hash: Option<&'a RawValue>,
    #[serde(borrow, rename = "fileName")]
    file_name: Option<&'a RawValue>,
    #[serde(borrow)]
    node: Option<&'a RawValue>,
}

impl Item {
    /// Reads one item; documents are registered on `nodes` and on `localhost`.
    pub(super) fn read(raw: &RawValue, nodes: &[String]) -> Self {
        let Ok(members) = serde_json::from_str::<Members<'_>>(raw.get()) else {
            return Self { file_name: None, hash: None, document: Err(Outcome::NO_ITEM) };
        };
        let (file_name, hash) = (text(members.file_name), text(members.hash));
        let document = Self::document(&members, file_name.as_deref(), hash.as_deref(), nodes);
        Self { file_name, hash, document }
    }

    fn document(members: &Members<'_>, name: Option<&str>, hash: Option<&str>, nodes: &[String]) -> Result<Document, Outcome> {
        name.filter(|name| (1..=NAME).contains(&name.chars().take(NAME + 1).count()) && !name.contains('\0'))
            .ok_or(Outcome::BAD_NAME)?;
        let digest = hash.filter(|hash| is_hash(hash)).and_then(|hash| hash.parse().ok()).ok_or(Outcome::BAD_HASH)?;
        let node = text(members.node).ok_or(Outcome::OTHER_NODE)?;
        if node != "localhost" && !nodes.contains(&node) {
            return Err(Outcome::OTHER_NODE);
        }
        let owner = text(members.empreinte).filter(|owner| is_hash(owner)).ok_or(Outcome::NO_OWNER)?;
        Ok(Document { owner, digest })
    }
}

/// What became of an item: `true` or a text, and for a refusal its reason as a stable name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome {
    text: Option<&'static str>,
    reason: Option<&'static str>,
}

impl Outcome {
    pub(super) const REGISTERED: Self = Self { text: None, reason: None };
    pub(super) const ALREADY: Self = Self { text: Some(texts::DEJA_ENREGISTRE), reason: None };
    pub(super) const NO_ITEM: Self = Self::refused(texts::NON_CONFORME, "element_invalide");
    pub(super) const BAD_NAME: Self = Self::refused(texts::NON_CONFORME, "nom_invalide");
    pub(super) const BAD_HASH: Self = Self::refused(texts::NON_CONFORME, "hash_invalide");
    pub(super) const OTHER_NODE: Self = Self::refused(texts::NON_CONFORME, "noeud_inconnu");
    pub(super) const NO_OWNER: Self = Self::refused(texts::UTILISATEUR_INTROUVABLE, "proprietaire_inconnu");
    pub(super) const EXPIRED: Self = Self::refused(texts::ABONNEMENT_EXPIRE, "abonnement_expire");
    pub(super) const NO_VALIDATOR: Self = Self::refused(texts::NON_CONFORME, "validateur_absent");

    /// The owner has no digests left for today.
    pub(super) const NONE_LEFT: Self = Self::refused(texts::NON_CONFORME, "quota_epuise");

    /// It waits for its validators; registering it without them would go around them.
    pub(super) const AWAITING: Self = Self::refused(texts::PAS_ENCORE_VALIDE, "validation_en_attente");
    /// A validator refused it: that stands in this dialect, which has no word for asking again.
    pub(super) const REFUSED: Self = Self::refused(texts::REFUSE, "validation_refusee");

    const fn refused(text: &'static str, reason: &'static str) -> Self {
        Self { text: Some(text), reason: Some(reason) }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.text {
            None => serializer.serialize_bool(true),
            Some(text) => serializer.serialize_str(text),
        }
    }
}

/// The documented map, in the order of the items. A name that stands there more than once says `true` only when all of
/// its items were registered, else what became of the first that was not: no item hides behind another.
#[derive(Debug)]
pub(super) struct ByName(Vec<(String, Outcome)>);

impl ByName {
    pub(super) fn of(items: &[Item], outcomes: &[Outcome]) -> Self {
        let (mut list, mut places): (Vec<(String, Outcome)>, HashMap<&str, usize>) = (Vec::new(), HashMap::new());
        for (item, outcome) in items.iter().zip(outcomes) {
            let Some(name) = item.file_name.as_deref() else { continue };
            let place = *places.entry(name).or_insert_with(|| {
                list.push((name.to_owned(), *outcome));
                list.len() - 1
            });
            if list[place].1 == Outcome::REGISTERED {
                list[place].1 = *outcome;
            }
        }
        Self(list)
    }
}

impl Serialize for ByName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, outcome) in &self.0 {
            map.serialize_entry(name, outcome)?;
        }
        map.end()
    }
}

/// One item in the list beyond the published page.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    #[serde(rename = "fileName")]
    file_name: Option<String>,
    hash: Option<String>,
    resultat: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    motif: Option<&'static str>,
}

/// Every item, in order; `None` when the map tells everything: each item has a name of its own and none was refused.
pub(super) fn told(items: Vec<Item>, outcomes: Vec<Outcome>) -> Option<Vec<Told>> {
    let mut names: Vec<Option<&str>> = items.iter().map(|item| item.file_name.as_deref()).collect();
    names.sort_unstable();
    let distinct = names.windows(2).all(|pair| pair[0] != pair[1]);
    if distinct && outcomes.iter().all(|outcome| outcome.reason.is_none()) {
        return None;
    }
    let tell = |(item, outcome): (Item, Outcome)| Told {
        file_name: item.file_name,
        hash: item.hash,
        resultat: outcome,
        motif: outcome.reason,
    };
    Some(items.into_iter().zip(outcomes).map(tell).collect())
}
