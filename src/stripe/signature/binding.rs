//! Bindings of signing secrets: the events that a secret may sign, and the secret that signed one.
//!
//! Endpoints of test mode and of Connect have secrets of their own. A test account or a connected account can send
//! events to them, and must not be able to create one that counts as a live event of the platform's own account.

use std::fmt;
use std::str::FromStr;

use crate::ids::Scope;

/// Events that a signing secret may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// Any event: the secret is not bound.
    Any,
    /// Live events of the platform's own account.
    Live,
    /// Test events of the platform's own account.
    Test,
    /// Events of connected accounts, live or test: a live endpoint of Connect receives both. This includes an
    /// endpoint of an organization, whose events name their account.
    Connect,
}

/// Identifier of a signing secret. It does not reveal the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SecretId(pub [u8; 4]);

/// Secret that signed a delivery, as the log names it: `live:1f3a5b7c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignedWith {
    /// Events that it may sign.
    pub binding: Binding,
    /// Identifier of the secret.
    pub secret: SecretId,
}

/// Secrets that signed a delivery. There is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signers(pub(super) Vec<SignedWith>);

/// Refusal of a valid signature whose secret is bound to other events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the signature fits a secret that is bound to {}, and the event is {event}",
    .binding.events()
)]
pub struct WrongBinding {
    /// Events that the secret may sign.
    pub binding: Binding,
    /// Description of the event.
    pub event: &'static str,
}

impl Binding {
    /// Name in the log, and before a secret in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Live => "live",
            Self::Test => "test",
            Self::Connect => "connect",
        }
    }

    /// The binding of this name.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Any, Self::Live, Self::Test, Self::Connect]
            .into_iter()
            .find(|it| it.as_str() == word)
    }

    /// True if the secret may sign an event of this account and mode.
    pub fn admits(self, scope: &Scope) -> bool {
        let own = scope.account.as_str().is_empty();
        match self {
            Self::Any => true,
            Self::Live => own && scope.livemode,
            Self::Test => own && !scope.livemode,
            Self::Connect => !own,
        }
    }

    const fn events(self) -> &'static str {
        match self {
            Self::Any => "any event",
            Self::Live => "live events of your own account (live:)",
            Self::Test => "test events of your own account (test:)",
            Self::Connect => "events of connected accounts (connect:)",
        }
    }
}

impl Signers {
    /// The first secret that may sign an event of this account and mode.
    pub fn signer_for(&self, scope: &Scope) -> Result<SignedWith, WrongBinding> {
        let event = match (scope.account.as_str().is_empty(), scope.livemode) {
            (true, true) => "a live event of your own account",
            (true, false) => "a test event of your own account",
            (false, true) => "a live event of a connected account",
            (false, false) => "a test event of a connected account",
        };
        let vouching = self.0.iter().find(|it| it.binding.admits(scope)).copied();
        vouching.ok_or_else(|| {
            let binding = self.0.first().map_or(Binding::Any, |it| it.binding);
            WrongBinding { binding, event }
        })
    }

    /// True if this secret is one of them, whatever its binding.
    pub fn contains(&self, secret: SecretId) -> bool {
        self.0.iter().any(|it| it.secret == secret)
    }
}

impl fmt::Display for SignedWith {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.binding.as_str(), hex::encode(self.secret.0))
    }
}

/// Text that is not the name of a secret in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a binding, a colon and 8 hexadecimal digits")]
pub struct NotASigner;

impl FromStr for SignedWith {
    type Err = NotASigner;

    fn from_str(text: &str) -> Result<Self, NotASigner> {
        let (binding, id) = text.split_once(':').ok_or(NotASigner)?;
        let mut secret = SecretId([0; 4]);
        hex::decode_to_slice(id, &mut secret.0).map_err(|_| NotASigner)?;
        let signer = Self { binding: Binding::parse(binding).ok_or(NotASigner)?, secret };
        // A secret has only one name.
        (signer.to_string() == text).then_some(signer).ok_or(NotASigner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(account: &str, livemode: bool) -> Scope {
        Scope { account: account.into(), livemode }
    }

    #[test]
    fn a_secret_vouches_for_the_events_that_it_is_bound_to_and_for_no_others() {
        use Binding::{Any, Connect, Live, Test};
        for (account, livemode, admitting) in [
            ("", true, [Any, Live]),
            ("", false, [Any, Test]),
            ("acct_1", true, [Any, Connect]),
            ("acct_1", false, [Any, Connect]),
        ] {
            for binding in [Any, Live, Test, Connect] {
                let expected = admitting.contains(&binding);
                let scope = scope(account, livemode);
                assert_eq!(binding.admits(&scope), expected, "{binding:?} {scope:?}");
            }
        }
    }

    #[test]
    fn of_several_signers_the_first_that_may_vouches() {
        let signer = |binding, id| SignedWith { binding, secret: SecretId([id; 4]) };
        let signers = Signers(vec![signer(Binding::Test, 1), signer(Binding::Live, 2)]);
        let vouching = signers.signer_for(&scope("", true)).unwrap();
        assert_eq!(vouching.to_string(), "live:02020202");
        assert!(signers.contains(SecretId([1; 4])) && !signers.contains(SecretId([3; 4])));
        let refused = signers.signer_for(&scope("acct_1", true)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the signature fits a secret that is bound to test events of your own account (test:), \
             and the event is a live event of a connected account"
        );
    }

    #[test]
    fn the_name_of_a_signer_is_read_back_and_nothing_else_is() {
        let name = "connect:1f3a5b7c";
        assert_eq!(name.parse::<SignedWith>().unwrap().to_string(), name);
        for other in
            ["", "live", "live:", "live:1f3a5b7", "live:1F3A5B7C", "all:1f3a5b7c", "live:1f3a5b7c "]
        {
            assert_eq!(other.parse::<SignedWith>(), Err(NotASigner), "{other}");
        }
    }
}
