//! What can be done, by whom, and when it is done.

use std::fmt;

use alloy::primitives::{Address, Bytes};
use alloy::sol_types::SolCall;

use crate::chain::evm::Roles;
use crate::chain::registry::AnchorRegistry;

/// One act of the registry's owner or publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The owner offers publishing; `None` withdraws an open offer.
    ProposePublisher(Option<Address>),
    /// The proposed publisher takes over.
    AcceptPublisher,
    /// The owner stops the publisher at once.
    RevokePublisher,
    /// The owner offers ownership; `None` withdraws an open offer.
    TransferOwnership(Option<Address>),
    /// The proposed owner takes over.
    AcceptOwnership,
}

impl Act {
    /// Calldata.
    #[must_use]
    pub fn call(&self) -> Bytes {
        let address = |named: &Option<Address>| named.unwrap_or(Address::ZERO);
        match self {
            Self::ProposePublisher(to) => AnchorRegistry::proposePublisherCall { newPublisher: address(to) }.abi_encode(),
            Self::AcceptPublisher => AnchorRegistry::acceptPublisherCall {}.abi_encode(),
            Self::RevokePublisher => AnchorRegistry::revokePublisherCall {}.abi_encode(),
            Self::TransferOwnership(to) => AnchorRegistry::transferOwnershipCall { newOwner: address(to) }.abi_encode(),
            Self::AcceptOwnership => AnchorRegistry::acceptOwnershipCall {}.abi_encode(),
        }
        .into()
    }

    /// Why `caller` cannot do this now, or why it makes no sense: one sentence.
    ///
    /// # Errors
    /// That sentence.
    pub fn check(&self, roles: &Roles, caller: Address, registry: Address) -> Result<(), String> {
        let owner = roles.owner;
        let by_owner = || match caller == owner {
            true => Ok(()),
            false => Err(format!("{caller} is not the registry's owner, {owner} is: give the owner's key")),
        };
        let invited = |invited: Option<Address>, what: &str, command: &str| match invited {
            Some(address) if address == caller => Ok(()),
            Some(address) => Err(format!("{caller} is not the proposed {what}, {address} is: give that key")),
            None => Err(format!("nobody is proposed as {what}: the owner does that with `sceau contract {command}`")),
        };
        let named = |address: Address, present: Option<Address>, what: &str| {
            if address.is_zero() || address == registry {
                return Err(format!("{address} can never accept: name an account; --withdraw takes an open offer back"));
            }
            if Some(address) == present {
                return Err(format!("{address} is the {what} already: there is nothing to change"));
            }
            Ok(())
        };
        match *self {
            Self::ProposePublisher(Some(to)) => by_owner().and_then(|()| named(to, roles.publisher, "publisher")),
            Self::TransferOwnership(Some(to)) => by_owner().and_then(|()| named(to, Some(owner), "owner")),
            Self::ProposePublisher(None) if roles.pending_publisher.is_none() => {
                Err("no offer to a publisher is open: there is nothing to withdraw".into())
            }
            Self::TransferOwnership(None) if roles.pending_owner.is_none() => {
                Err("no offer of ownership is open: there is nothing to withdraw".into())
            }
            Self::ProposePublisher(None) | Self::TransferOwnership(None) => by_owner(),
            Self::RevokePublisher if roles.publisher.is_none() => Err("the publisher is revoked already".into()),
            Self::RevokePublisher => by_owner(),
            Self::AcceptPublisher => invited(roles.pending_publisher, "publisher", "set-publisher"),
            Self::AcceptOwnership => invited(roles.pending_owner, "owner", "transfer-ownership"),
        }
    }

    /// Whether the registry is as this act of `caller` leaves it.
    #[must_use]
    pub fn is_done(&self, roles: &Roles, caller: Address) -> bool {
        match *self {
            Self::ProposePublisher(to) => roles.pending_publisher == to,
            Self::AcceptPublisher => roles.publisher == Some(caller) && roles.pending_publisher.is_none(),
            Self::RevokePublisher => roles.publisher.is_none(),
            Self::TransferOwnership(to) => roles.pending_owner == to,
            Self::AcceptOwnership => roles.owner == caller && roles.pending_owner.is_none(),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProposePublisher(Some(to)) => write!(f, "propose {to} as publisher"),
            Self::ProposePublisher(None) => f.write_str("withdraw the offer to a publisher"),
            Self::AcceptPublisher => f.write_str("take over as publisher"),
            Self::RevokePublisher => f.write_str("revoke the publisher"),
            Self::TransferOwnership(Some(to)) => write!(f, "offer ownership to {to}"),
            Self::TransferOwnership(None) => f.write_str("withdraw the offer of ownership"),
            Self::AcceptOwnership => f.write_str("take over as owner"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Address = Address::repeat_byte(1);
    const PUBLISHER: Address = Address::repeat_byte(2);
    const NEXT: Address = Address::repeat_byte(3);
    const REGISTRY: Address = Address::repeat_byte(9);

    fn roles() -> Roles {
        Roles {
            owner: OWNER,
            pending_owner: None,
            publisher: Some(PUBLISHER),
            pending_publisher: None,
            first_number: 1,
            last_number: 7,
        }
    }

    #[track_caller]
    fn refused(act: Act, roles: Roles, caller: Address, because: &str) {
        let why = act.check(&roles, caller, REGISTRY).expect_err("nonsense");
        assert!(why.contains(because), "{because:?} is not in {why:?}");
    }

    #[test]
    fn nonsense_is_refused_before_anything_is_signed() {
        let propose = |to| Act::ProposePublisher(Some(to));
        refused(propose(NEXT), roles(), PUBLISHER, "is not the registry's owner");
        refused(propose(PUBLISHER), roles(), OWNER, "is the publisher already");
        refused(propose(Address::ZERO), roles(), OWNER, "can never accept");
        refused(propose(REGISTRY), roles(), OWNER, "can never accept");
        refused(Act::ProposePublisher(None), roles(), OWNER, "nothing to withdraw");
        refused(Act::TransferOwnership(None), roles(), OWNER, "nothing to withdraw");
        refused(Act::TransferOwnership(Some(OWNER)), roles(), OWNER, "is the owner already");
        refused(Act::TransferOwnership(Some(NEXT)), roles(), NEXT, "is not the registry's owner");
        refused(Act::AcceptPublisher, roles(), NEXT, "set-publisher");
        refused(Act::AcceptOwnership, roles(), NEXT, "transfer-ownership");
        refused(Act::AcceptPublisher, Roles { pending_publisher: Some(NEXT), ..roles() }, OWNER, "is not the proposed publisher");
        refused(Act::RevokePublisher, Roles { publisher: None, ..roles() }, OWNER, "revoked already");
        refused(Act::RevokePublisher, roles(), PUBLISHER, "is not the registry's owner");
        refused(
            Act::ProposePublisher(None),
            Roles { pending_publisher: Some(NEXT), ..roles() },
            NEXT,
            "not the registry's owner",
        );
    }

    #[test]
    fn an_act_is_done_when_the_registry_says_so() {
        let offered = Roles { pending_publisher: Some(NEXT), pending_owner: Some(NEXT), ..roles() };
        for (act, before, caller, after) in [
            (Act::ProposePublisher(Some(NEXT)), roles(), OWNER, offered),
            (Act::ProposePublisher(None), offered, OWNER, roles()),
            (Act::AcceptPublisher, offered, NEXT, Roles { publisher: Some(NEXT), ..roles() }),
            (Act::RevokePublisher, roles(), OWNER, Roles { publisher: None, ..roles() }),
            (Act::TransferOwnership(Some(NEXT)), roles(), OWNER, offered),
            (Act::TransferOwnership(None), offered, OWNER, roles()),
            (Act::AcceptOwnership, offered, NEXT, Roles { owner: NEXT, ..roles() }),
        ] {
            act.check(&before, caller, REGISTRY).expect("sensible");
            assert!(!act.is_done(&before, caller), "{act}");
            assert!(act.is_done(&after, caller), "{act}");
        }
    }
}
