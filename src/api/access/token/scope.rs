//! Scopes: what a token may be used for.

use std::fmt;

use crate::ledger::accounts::Role;

/// One scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Scope {
    /// Read one's own proofs and receipts, verify.
    ProofsRead = 1,
    /// Submit digests.
    ProofsWrite = 2,
    /// Administer accounts.
    Manage = 4,
    /// Approve or refuse documents.
    Validate = 8,
}

impl Scope {
    pub(in crate::api) const ALL: [Self; 4] = [Self::ProofsRead, Self::ProofsWrite, Self::Manage, Self::Validate];

    /// The word in tokens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProofsRead => "proofs:read",
            Self::ProofsWrite => "proofs:write",
            Self::Manage => "manage",
            Self::Validate => "validate",
        }
    }

    /// A line for people.
    #[must_use]
    pub const fn means(self) -> &'static str {
        match self {
            Self::ProofsRead => "Read one's own proofs and receipts, verify",
            Self::ProofsWrite => "Submit digests",
            Self::Manage => "Administer accounts",
            Self::Validate => "Approve or refuse documents",
        }
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// Every scope there is, in the order they are written.
    pub fn all_names() -> [&'static str; 4] {
        Scope::ALL.map(Scope::as_str)
    }

    /// What an account of this role may ask for, and gets when it asks for nothing.
    #[must_use]
    pub fn of_role(role: Role) -> Self {
        let scopes: &[Scope] = match role {
            Role::Partner | Role::Client => &[Scope::ProofsRead, Scope::ProofsWrite],
            Role::Manager => &[Scope::ProofsRead, Scope::ProofsWrite, Scope::Manage],
            Role::Validator => &[Scope::ProofsRead, Scope::Validate],
        };
        Self(scopes.iter().fold(0, |set, scope| set | *scope as u8))
    }

    /// Reads words separated by single spaces (RFC 6749 §3.3); `None` when one is unknown or nothing is there.
    #[must_use]
    pub fn parse(words: &str) -> Option<Self> {
        let mut set = 0;
        for word in words.split(' ') {
            set |= Scope::ALL.into_iter().find(|scope| scope.as_str() == word)? as u8;
        }
        Some(Self(set))
    }

    /// Whether `scope` is among them.
    #[must_use]
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & scope as u8 != 0
    }

    /// Whether all of `self` are among `other`.
    #[must_use]
    pub const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Those in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = Scope::ALL.into_iter().filter(|scope| self.has(*scope)).map(Scope::as_str).collect();
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_make_the_round_trip() {
        for role in [Role::Partner, Role::Client, Role::Manager, Role::Validator] {
            let scopes = Scopes::of_role(role);
            assert_eq!(Scopes::parse(&scopes.to_string()), Some(scopes));
        }
        assert_eq!(Scopes::parse("proofs:write proofs:read proofs:read").unwrap().to_string(), "proofs:read proofs:write");
        for words in ["", " ", "proofs:read  proofs:write", "proofs:read,proofs:write", "Proofs:read", "admin"] {
            assert_eq!(Scopes::parse(words), None, "{words:?}");
        }
    }

    #[test]
    fn within_is_a_subset() {
        let read = Scopes::parse("proofs:read").unwrap();
        assert!(read.within(Scopes::of_role(Role::Validator)));
        assert!(!Scopes::of_role(Role::Partner).within(read));
    }
}
