//! Settings: from a flag, an environment variable, or the default, in this order.
//!
//! Secrets and tokens come only from the environment or from files, because process lists show flags. No secret is
//! printed.

mod connections;
mod memory;
mod secrets;
mod signing;
mod unknown_user;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use clap::Args;

pub use connections::ConnectionLimits;
pub use memory::MemorySettings;
pub use secrets::{NotASecret, Secrets, WebhookSecrets};
pub use signing::{CheckpointSettings, SIGNING_KEY, SigningError, SigningKeySettings};
pub use unknown_user::UnknownUser;

use crate::ids::Mode;
use crate::projection::policy::{self, Policy, PolicyError};
use crate::projection::{DEFAULT_USER_KEY, Logic};
use crate::store::{DatabaseUrl, Server, UrlError};
use crate::sync::SyncOptions;

/// Environment variable with the signing secrets of the webhook endpoints.
pub const WEBHOOK_SECRET: &str = "STRIPE_WEBHOOK_SECRET";
/// Environment variable with the tokens that may read everything.
pub const API_TOKEN: &str = "SUBLEDGER_API_TOKEN";
/// Environment variable with the tokens that may only ask for one user's access.
pub const ACCESS_TOKEN: &str = "SUBLEDGER_ACCESS_TOKEN";

/// Default address to listen on: reachable from this machine only.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8000";
/// Default database.
const DEFAULT_DATABASE: &str = "sqlite://subledger.db";

/// Settings that several commands share.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Database of the ledger: `sqlite://PATH` or `postgres://…`
    #[arg(
        long = "database",
        value_name = "URL",
        env = "DATABASE_URL",
        hide_env_values = true,
        default_value = DEFAULT_DATABASE,
        global = true
    )]
    database: String,

    /// Limit on connections to PostgreSQL, half of them for the log
    #[arg(
        long,
        value_name = "N",
        env = "SUBLEDGER_POSTGRES_CONNECTIONS",
        default_value_t = Server::DEFAULT_CONNECTIONS,
        value_parser = clap::value_parser!(u32).range(8..=1_000),
        global = true
    )]
    postgres_connections: u32,

    /// Stripe mode to read. Only this mode grants access
    #[arg(long, env = "SUBLEDGER_MODE", default_value = "live", global = true)]
    pub mode: Mode,

    /// Metadata keys that hold the id of your user, separated by commas. The first match counts
    #[arg(
        long = "user-key",
        value_name = "KEY",
        env = "SUBLEDGER_USER_KEY",
        default_value = DEFAULT_USER_KEY,
        global = true
    )]
    user_keys: String,

    /// File with the access policy [default: built in, see `policy show`]
    #[arg(long, value_name = "FILE", env = "SUBLEDGER_POLICY", global = true)]
    policy: Option<PathBuf>,
}

/// Settings of `serve`.
#[derive(Args, Clone, Debug)]
pub struct ServeSettings {
    /// Address to listen on, HOST:PORT
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "SUBLEDGER_LISTEN",
        value_parser = listen_address,
        default_value = DEFAULT_LISTEN
    )]
    pub listen: String,

    /// Second address, for /v1 and /metrics. The first then serves only the webhook and health
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "SUBLEDGER_PRIVATE_LISTEN",
        value_parser = listen_address
    )]
    pub private_listen: Option<String>,

    /// Tolerance for the timestamp of a signature, in both directions
    #[arg(
        long,
        value_name = "SECONDS",
        env = "SUBLEDGER_TOLERANCE_SECONDS",
        default_value_t = crate::stripe::signature::DEFAULT_TOLERANCE_SECONDS
    )]
    pub tolerance_seconds: u32,

    /// Refuse to start if the read model must be rebuilt. Without this flag it is rebuilt in the background
    #[arg(long, env = "SUBLEDGER_NO_AUTO_REBUILD")]
    pub no_auto_rebuild: bool,

    /// Memory of rebuilds
    #[command(flatten)]
    pub rebuild: MemorySettings,

    /// Accept a log that lacks events of the read model, and drop the read model
    #[arg(long)]
    pub accept_new_log: bool,

    /// Answer about a user whom the ledger does not know, while no backfill has read the account
    #[arg(
        long,
        value_name = "HOW",
        value_enum,
        env = "SUBLEDGER_UNKNOWN",
        default_value = "answer"
    )]
    pub unknown: UnknownUser,

    /// Interval between two syncs with Stripe's API, if `STRIPE_API_KEY` is set
    #[arg(
        long,
        value_name = "SECONDS",
        env = "SUBLEDGER_SYNC_EVERY_SECONDS",
        default_value_t = SyncOptions::DEFAULT_EVERY_SECONDS,
        value_parser = clap::value_parser!(u32).range(30..=300)
    )]
    pub sync_every_seconds: u32,

    /// Limits on connections
    #[command(flatten)]
    pub connections: ConnectionLimits,

    /// Signing and publishing of checkpoints
    #[command(flatten)]
    pub checkpoints: CheckpointSettings,
}

/// Invalid settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The database address is invalid.
    #[error("the database address cannot be used: {0}")]
    Database(#[from] UrlError),
    /// The policy file cannot be read.
    #[error("cannot read the policy {}: {source}", .path.display())]
    PolicyUnreadable {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },
    /// The policy is invalid.
    #[error("the policy {} cannot be used: {source}", .path.display())]
    Policy {
        /// Path of the file.
        path: PathBuf,
        /// Error in the policy.
        source: PolicyError,
    },
    /// No metadata key is named.
    #[error("SUBLEDGER_USER_KEY names no metadata key")]
    NoUserKey,
    /// The signing secret is missing.
    #[error("{WEBHOOK_SECRET} is not set: no webhook could be verified")]
    NoWebhookSecret,
    /// A signing secret is invalid.
    #[error("{name}: {source}")]
    WebhookSecret {
        /// Name of the variable.
        name: String,
        /// Position of the invalid secret.
        source: NotASecret,
    },
    /// A secret is set twice, in a variable and in a file.
    #[error("{0} and {0}_FILE are both set")]
    SecretTwice(&'static str),
    /// The file of a secret or token cannot be read.
    #[error("{name}: cannot read {}: {source}", .path.display())]
    SecretUnreadable {
        /// Name of the variable.
        name: String,
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },
    /// The signing key is invalid or missing.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// An environment variable is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotUnicode(&'static str),
}

impl ConfigError {
    /// Advice for the user.
    pub fn hint(&self) -> Cow<'static, str> {
        let hint = match self {
            Self::Signing(error) => return error.hint(),
            Self::Database(_) => {
                "set --database or DATABASE_URL, as in sqlite://subledger.db or postgres://user@host/database"
            }
            Self::PolicyUnreadable { .. } | Self::Policy { .. } => {
                "`SUBLEDGER_POLICY= subledger policy show` prints the built-in policy, to start from"
            }
            Self::NoUserKey => "for example SUBLEDGER_USER_KEY=user_id",
            Self::NoWebhookSecret => {
                "Stripe shows it as whsec_… under Developers > Webhooks > your endpoint; \
                 `stripe listen` prints one; `subledger demo` needs none"
            }
            Self::WebhookSecret { .. } => {
                "give the endpoint's signing secret, whsec_… (not an API key, not the endpoint's id), and \
                 before it live:, test: or connect: to bind it"
            }
            Self::SecretTwice(_) => "set one of the two",
            Self::SecretUnreadable { .. } => "the file must be readable, and hold UTF-8 text",
            Self::NotUnicode(_) => "secrets and tokens are plain text",
        };
        hint.into()
    }
}

impl Settings {
    /// Address of the database.
    pub fn database_url(&self) -> Result<DatabaseUrl, ConfigError> {
        Ok(DatabaseUrl::parse(&self.database)?.with_connections(self.postgres_connections))
    }

    /// Shell command that runs `name` with these settings.
    pub fn command(&self, name: &str) -> String {
        let mut words = vec!["subledger".to_owned(), name.to_owned()];
        let mut add = |flag: &str, value: &str| words.extend([flag.to_owned(), quoted(value)]);
        // An address of PostgreSQL may contain a password, and comes from the environment.
        let is_file = self.database.trim().starts_with("sqlite:");
        if is_file && self.database != DEFAULT_DATABASE {
            add("--database", &self.database);
        }
        if let Some(policy) = &self.policy {
            add("--policy", &policy.to_string_lossy());
        }
        if self.user_keys != DEFAULT_USER_KEY {
            add("--user-key", &self.user_keys);
        }
        words.join(" ")
    }

    /// Logic that turns events into rows: the policy and the user keys.
    pub fn logic(&self) -> Result<Logic, ConfigError> {
        if split(&self.user_keys).next().is_none() {
            return Err(ConfigError::NoUserKey);
        }
        let (text, path) = self.policy()?;
        Logic::parse(&text, &self.user_keys).map_err(|source| ConfigError::Policy { path, source })
    }

    /// These settings with another policy file.
    #[must_use]
    pub fn with_policy(&self, path: PathBuf) -> Self {
        Self { policy: Some(path), ..self.clone() }
    }

    /// Path of the policy file; none for the built-in policy.
    pub fn policy_path(&self) -> Option<&Path> {
        self.policy.as_deref()
    }

    /// Text of the policy, in the form of a policy file. Comments at its start list the keys that the configured file
    /// leaves out, with their built-in values.
    pub fn policy_text(&self) -> Result<String, ConfigError> {
        let (text, path) = self.policy()?;
        Policy::parse(&text).map_err(|source| ConfigError::Policy { path, source })?;
        let left_out = policy::omitted_keys(&text);
        if left_out.is_empty() {
            return Ok(text);
        }
        let left_out = left_out.join("\n# ");
        Ok(format!("# Not set below; the built-in values are:\n# {left_out}\n\n{text}"))
    }

    /// Reads the text of the policy. The path is for messages.
    fn policy(&self) -> Result<(String, PathBuf), ConfigError> {
        let Some(path) = &self.policy else {
            return Ok((policy::BUILT_IN.to_owned(), "(built-in)".into()));
        };
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::PolicyUnreadable { path: path.clone(), source })?;
        Ok((text, path.clone()))
    }
}

/// Parses an address to listen on. A port alone is refused, because it does not tell who may connect.
fn listen_address(text: &str) -> Result<String, &'static str> {
    let is_address = text.rsplit_once(':').is_some_and(|(host, port)| {
        let is_bracketed = host.starts_with('[') && host.ends_with(']');
        !host.is_empty() && (is_bracketed || !host.contains(':')) && port.parse::<u16>().is_ok()
    });
    is_address.then(|| text.to_owned()).ok_or(
        "expected HOST:PORT, such as 127.0.0.1:8000 for this machine only, or 0.0.0.0:8000 for every network interface",
    )
}

/// Quotes a word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/:._-,=+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for text in ["127.0.0.1:8000", "localhost:80", "0.0.0.0:0", "[::1]:8000"] {
            assert_eq!(listen_address(text).as_deref(), Ok(text));
        }
        for text in ["8000", ":8000", "localhost", "localhost:", "::1:8000", "host:99999", ""] {
            assert!(listen_address(text).unwrap_err().contains("127.0.0.1:8000"), "{text}");
        }
    }
}
