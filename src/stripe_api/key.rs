//! API key: its kind and mode, by its beginning. It is never printed.

use secrecy::{ExposeSecret, SecretString};

use crate::config::{ConfigError, Secrets};
use crate::ids::Mode;

/// Environment variable with the API key. `STRIPE_API_KEY_FILE` names a file instead.
pub const STRIPE_API_KEY: &str = "STRIPE_API_KEY";

/// Secret key of Stripe's API. `Debug` does not show it.
#[derive(Clone, Debug)]
pub struct ApiKey {
    secret: SecretString,
    kind: KeyKind,
    mode: Mode,
}

/// Kind of a secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Key with chosen permissions: `rk_…`.
    Restricted,
    /// Key with all permissions: `sk_…`.
    Full,
}

/// Reason why there is no usable key. It contains nothing of the key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No key is set.
    #[error("{STRIPE_API_KEY} is not set: Stripe's API cannot be asked")]
    Missing,
    /// Several keys are set.
    #[error("{STRIPE_API_KEY} holds {0} keys: set one")]
    Several(usize),
    /// The key is meant for browsers.
    #[error("{STRIPE_API_KEY} is a publishable key (pk_…), which cannot read anything")]
    Publishable,
    /// The key belongs to the other mode.
    #[error("{STRIPE_API_KEY} is a {key}-mode key, but SUBLEDGER_MODE is {mode}")]
    OtherMode {
        /// Mode of the key.
        key: Mode,
        /// Mode of the ledger.
        mode: Mode,
    },
    /// The text is no key.
    #[error(
        "{STRIPE_API_KEY} is not an API key, which begins with rk_live_, rk_test_, sk_live_ or sk_test_"
    )]
    NotAKey,
    /// The variable or the file cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl KeyError {
    /// Advice for the user.
    pub fn hint(&self) -> String {
        match self {
            Self::Missing | Self::Several(_) | Self::Publishable | Self::NotAKey => format!(
                "make a restricted key at {}",
                super::restricted_key_url(Mode::Live).split_once('?').map_or("", |(page, _)| page)
            ),
            Self::OtherMode { key, mode } => {
                format!("set a {mode}-mode key, or set --mode or SUBLEDGER_MODE to {key}")
            }
            Self::Config(error) => error.hint().into_owned(),
        }
    }
}

impl ApiKey {
    /// Reads the key from `STRIPE_API_KEY`, or from the file that `STRIPE_API_KEY_FILE` names. It must belong to this
    /// mode.
    pub fn from_env(mode: Mode) -> Result<Self, KeyError> {
        let keys = Secrets::from_env(STRIPE_API_KEY)?;
        let keys: Vec<_> = keys.expose().map(Self::parse).collect();
        match keys.len() {
            0 => Err(KeyError::Missing),
            1 => keys.into_iter().next().unwrap_or(Err(KeyError::Missing))?.of_mode(mode),
            count => Err(KeyError::Several(count)),
        }
    }

    /// Parses a key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim_matches(['"', '\'']);
        if text.starts_with("pk_") {
            return Err(KeyError::Publishable);
        }
        let (kind, rest) = match text.split_once('_') {
            Some(("rk", rest)) => (KeyKind::Restricted, rest),
            Some(("sk", rest)) => (KeyKind::Full, rest),
            _ => return Err(KeyError::NotAKey),
        };
        let (mode, rest) = match rest.split_once('_') {
            Some(("live", rest)) => (Mode::Live, rest),
            Some(("test", rest)) => (Mode::Test, rest),
            _ => return Err(KeyError::NotAKey),
        };
        if rest.is_empty() || !rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(KeyError::NotAKey);
        }
        Ok(Self { secret: SecretString::from(text), kind, mode })
    }

    /// Returns the key if it belongs to this mode.
    pub fn of_mode(self, mode: Mode) -> Result<Self, KeyError> {
        if self.mode == mode { Ok(self) } else { Err(KeyError::OtherMode { key: self.mode, mode }) }
    }

    /// Kind of the key.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Mode whose objects the key can read.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn expose(&self) -> &str {
        self.secret.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_and_mode_are_read_from_the_beginning() {
        for (text, kind, mode) in [
            ("rk_live_51Ab", KeyKind::Restricted, Mode::Live),
            ("rk_test_51Ab", KeyKind::Restricted, Mode::Test),
            ("sk_live_51Ab", KeyKind::Full, Mode::Live),
            ("\"sk_test_51Ab\"", KeyKind::Full, Mode::Test),
        ] {
            let key = ApiKey::parse(text).unwrap();
            assert_eq!((key.kind(), key.mode()), (kind, mode), "{text}");
            assert!(!key.expose().contains('"'));
        }
    }

    #[test]
    fn what_cannot_read_is_refused_with_a_sentence_that_does_not_show_it() {
        for (text, told) in [
            ("pk_live_51Ab", "publishable key"),
            ("whsec_51Ab", "is not an API key"),
            ("rk_live_", "is not an API key"),
            ("rk_prod_51Ab", "is not an API key"),
            ("rk_live_51\nAb", "is not an API key"),
            ("51Ab", "is not an API key"),
        ] {
            let error = ApiKey::parse(text).unwrap_err().to_string();
            assert!(error.contains(told) && !error.contains("51"), "{error}");
        }
        let other = ApiKey::parse("rk_test_1").unwrap().of_mode(Mode::Live).unwrap_err();
        assert_eq!(
            other.to_string(),
            "STRIPE_API_KEY is a test-mode key, but SUBLEDGER_MODE is live"
        );
        assert!(other.hint().contains("set a live-mode key"));
    }

    #[test]
    fn debugging_shows_no_key() {
        let shown = format!("{:?}", ApiKey::parse("rk_live_51Ab").unwrap());
        assert!(!shown.contains("51Ab"), "{shown}");
    }
}
