//! The words of the protocol, letter for letter: French, UTF-8, precomposed accents, ASCII apostrophes.

use crate::ledger::proofs::Status;

/// Logged in.
pub const CONNECTE: &str = "Connecté";
/// Nobody of that empreinte.
pub const INCONNU: &str = "Inconnu";
/// May not submit any more.
pub const ABONNEMENT_EXPIRE: &str = "Abonnement expiré";

/// Nobody of that empreinte, where a document was to be registered.
pub const UTILISATEUR_INTROUVABLE: &str = "Utilisateur introuvable";
/// The owner has registered this document before.
pub const DEJA_ENREGISTRE: &str = "Ce document est déjà enregistré.";

/// The asker has registered this document.
pub const ENREGISTRE: &str = "Votre document est enregistré.";
/// Something in the request is not what it must be.
pub const NON_CONFORME: &str = "Les informations ne sont pas conformes et ne peuvent donc pas être validées.";
/// Somebody else has registered this document, and lets others know.
pub const PAS_A_VOUS: &str = "Ce document ne vous appartient pas.";
/// It waits for a validator.
pub const PAS_ENCORE_VALIDE: &str = "Le document n'a pas encore été validé.";
/// A validator refused it.
pub const REFUSE: &str = "Le document a été refusé par son validateur.";
/// Nobody has, or nobody may know.
pub const PAS_ENREGISTRE: &str = "Ce document n'est pas enregistré.";

/// How far a proof is, beyond the published page.
#[must_use]
pub const fn statut(status: Status) -> &'static str {
    match status {
        Status::AwaitingValidation => "en attente de validation",
        Status::Refused => "refusé",
        Status::Pending => "en attente",
        Status::Sealed => "scellé",
        Status::Anchored => "ancré",
        Status::Final => "définitif",
    }
}
