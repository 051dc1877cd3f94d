//! Secrets and tokens: read from the environment or from a file, and never printed.

use std::ffi::OsString;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::{ConfigError, WEBHOOK_SECRET, split};
use crate::ids::Scope;
use crate::stripe::signature::Binding;

/// Prefix of every signing secret of Stripe.
const PREFIX: &str = "whsec_";

/// List of tokens, separated by commas or white space.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Vec<SecretString>);

/// Signing secrets of webhook endpoints, each with its binding to events.
#[derive(Clone, Debug, Default)]
pub struct WebhookSecrets(Vec<WebhookSecret>);

#[derive(Clone, Debug)]
struct WebhookSecret {
    binding: Binding,
    secret: SecretString,
}

/// Error for text that is not a signing secret. It contains the number of the text, and not the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "secret {number} of {count} is not a signing secret of an endpoint, which begins with {PREFIX}"
)]
pub struct NotASecret {
    /// Number of the text in the list, from 1.
    pub number: usize,
    /// Number of secrets.
    pub count: usize,
}

impl Secrets {
    /// Reads an environment variable, or the file that its `_FILE` variant names. Empty if neither is set.
    pub fn from_env(variable: &'static str) -> Result<Self, ConfigError> {
        Ok(read(variable)?.map(|(_, text)| Self::parse(text.expose_secret())).unwrap_or_default())
    }

    /// Parses a list. Invisible characters around each token are dropped.
    pub fn parse(text: &str) -> Self {
        let parts = split(text).map(|part| part.trim_matches(is_invisible));
        Self(parts.filter(|part| !part.is_empty()).map(SecretString::from).collect())
    }

    /// True if there is no token.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Exposes the tokens, for comparison.
    pub fn expose(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(ExposeSecret::expose_secret)
    }
}

impl WebhookSecrets {
    /// Reads `STRIPE_WEBHOOK_SECRET`, or the file that its `_FILE` variant names. At least one secret is required.
    pub fn from_env() -> Result<Self, ConfigError> {
        let Some((name, text)) = read(WEBHOOK_SECRET)? else {
            return Err(ConfigError::NoWebhookSecret);
        };
        let secrets = Self::parse(text.expose_secret());
        match secrets.map_err(|source| ConfigError::WebhookSecret { name, source })? {
            secrets if secrets.0.is_empty() => Err(ConfigError::NoWebhookSecret),
            secrets => Ok(secrets),
        }
    }

    /// Parses secrets, separated by commas or white space, each with an optional binding as in `live:whsec_…`. Quotes
    /// and invisible characters around each are dropped: they come from files and shells, and no secret has them.
    pub fn parse(text: &str) -> Result<Self, NotASecret> {
        let is_noise = |c: char| is_invisible(c) || "\"'`“”‘’".contains(c);
        let parts: Vec<_> = split(text).map(|part| part.trim_matches(is_noise)).collect();
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let count = parts.len();
        let secrets = parts.into_iter().zip(1..).map(|(part, number)| {
            let (binding, secret) = match part.split_once(':') {
                Some((word, secret)) => {
                    let binding = Binding::parse(word).filter(|it| *it != Binding::Any);
                    (binding, secret.trim_matches(is_noise))
                }
                None => (Some(Binding::Any), part),
            };
            let is_secret = |text: &str| {
                let rest = text.strip_prefix(PREFIX).unwrap_or_default();
                !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic())
            };
            match binding.filter(|_| is_secret(secret)) {
                Some(binding) => Ok(WebhookSecret { binding, secret: SecretString::from(secret) }),
                None => Err(NotASecret { number, count }),
            }
        });
        Ok(Self(secrets.collect::<Result<_, _>>()?))
    }

    /// Exposes the secrets with their bindings, for comparison.
    pub fn expose(&self) -> impl Iterator<Item = (Binding, &str)> {
        self.0.iter().map(|it| (it.binding, it.secret.expose_secret()))
    }

    /// First secret that may sign an event of this account and mode.
    pub fn vouching_for(&self, scope: &Scope) -> Option<&str> {
        self.expose().find(|(binding, _)| binding.admits(scope)).map(|(_, secret)| secret)
    }

    /// Number of unbound secrets, if there are several secrets: each of them may sign any event.
    pub fn unbound_among_several(&self) -> Option<usize> {
        let unbound = self.0.iter().filter(|it| it.binding == Binding::Any).count();
        (self.0.len() > 1 && unbound > 0).then_some(unbound)
    }
}

/// True for an invisible character: white space, a byte order mark, or a character of zero width.
fn is_invisible(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'..='\u{200d}' | '\u{2060}')
}

/// Reads a variable, or the file that its `_FILE` variant names. Returns the name of the one that is set, and the text.
fn read(variable: &'static str) -> Result<Option<(String, SecretString)>, ConfigError> {
    let file_variable = format!("{variable}_FILE");
    let is_set = |path: &OsString| !path.to_string_lossy().trim().is_empty();
    let file = std::env::var_os(&file_variable).filter(is_set).map(PathBuf::from);
    let text = match std::env::var(variable) {
        Ok(text) if text.trim().is_empty() => None,
        Ok(text) => Some(SecretString::from(text)),
        Err(std::env::VarError::NotPresent) => None,
        Err(std::env::VarError::NotUnicode(_)) => return Err(ConfigError::NotUnicode(variable)),
    };
    match (text, file) {
        (Some(_), Some(_)) => Err(ConfigError::SecretTwice(variable)),
        (Some(text), None) => Ok(Some((variable.to_owned(), text))),
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some((file_variable, SecretString::from(text)))),
            Err(source) => Err(ConfigError::SecretUnreadable { name: file_variable, path, source }),
        },
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses secrets, and shows each with its binding.
    fn parsed(text: &str) -> Result<Vec<String>, NotASecret> {
        let secrets = WebhookSecrets::parse(text)?;
        let each =
            secrets.expose().map(|(binding, secret)| format!("{} {secret}", binding.as_str()));
        Ok(each.collect())
    }

    #[test]
    fn tokens_are_trimmed_and_split_at_commas_and_white_space() {
        let tokens = Secrets::parse("\u{feff} one,two\tthree ,, four\r\n");
        let exposed: Vec<&str> = tokens.expose().collect();
        assert_eq!(exposed, ["one", "two", "three", "four"]);
        assert!(Secrets::parse(" \n,").is_empty());
    }

    #[test]
    fn signing_secrets_are_split_and_each_may_be_bound() {
        let text = " whsec_a,live:whsec_b\ttest:whsec_c ,, connect:whsec_d\r\n";
        let all = ["any whsec_a", "live whsec_b", "test whsec_c", "connect whsec_d"];
        assert_eq!(parsed(text).unwrap(), all);
        assert_eq!(parsed(" \n,\u{feff}\"\"").unwrap(), [""; 0]);
    }

    #[test]
    fn quotes_marks_and_characters_of_no_width_around_a_secret_are_dropped() {
        for text in [
            "\u{feff}whsec_a\n",
            "\"whsec_a\"",
            "'whsec_a'",
            "“whsec_a”",
            "\u{200b}whsec_a\u{200d}\u{2060}",
            "\u{feff}\"\u{200b}whsec_a\u{200c}\"\r\n",
        ] {
            assert_eq!(parsed(text).unwrap(), ["any whsec_a"], "{text:?}");
        }
        assert_eq!(parsed("\"whsec_a,live:whsec_b\"").unwrap(), ["any whsec_a", "live whsec_b"]);
        assert_eq!(parsed("live:\"whsec_a\"").unwrap(), ["live whsec_a"]);
    }

    #[test]
    fn what_is_no_signing_secret_is_refused_by_its_place_and_not_shown() {
        for text in [
            "sk_live_a",
            "we_a",
            "whsec_",
            "WHSEC_a",
            "live:sk_live_a",
            "live:",
            "prod:whsec_a",
            "Live:whsec_a",
            "any:whsec_a",
            "live:test:whsec_a",
            "whsec_a\u{200b}b",
            "whsec_ä",
        ] {
            let error = WebhookSecrets::parse(&format!("whsec_ok,{text}")).unwrap_err();
            assert_eq!(error, NotASecret { number: 2, count: 2 }, "{text:?}");
        }
    }

    #[test]
    fn secrets_that_are_not_bound_are_counted_where_there_are_several() {
        let unbound = |text| WebhookSecrets::parse(text).unwrap().unbound_among_several();
        assert_eq!(unbound("whsec_a"), None);
        assert_eq!(unbound("live:whsec_a,test:whsec_b"), None);
        assert_eq!(unbound("live:whsec_a,whsec_b"), Some(1));
        assert_eq!(unbound("whsec_a,whsec_b"), Some(2));
    }

    #[test]
    fn debugging_shows_no_secret() {
        let secrets = format!("{:?}", WebhookSecrets::parse("live:whsec_abc").unwrap());
        assert!(!secrets.contains("whsec_abc"), "{secrets}");
        assert!(!format!("{:?}", Secrets::parse("token_abc")).contains("token_abc"));
    }
}
