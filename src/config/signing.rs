//! The key that signs checkpoints, and where they go.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use super::ConfigError;
use crate::proof::{KeyError, SigningKey};
use crate::publisher::{Publishing, Signing};

/// The environment variable of the secret key itself.
pub const SIGNING_KEY: &str = "SUBLEDGER_SIGNING_KEY";

/// How often a checkpoint is written to a file, where nothing else is said.
const EVERY_SECONDS: u32 = 60;

/// Where the key that signs is.
#[derive(Args, Clone, Debug, Default)]
pub struct SigningKeySettings {
    /// A file with the key that signs checkpoints, where `SUBLEDGER_SIGNING_KEY` does not hold it
    #[arg(long, value_name = "FILE", env = "SUBLEDGER_SIGNING_KEY_FILE")]
    pub signing_key_file: Option<PathBuf>,
}

/// How checkpoints leave the machine.
#[derive(Args, Clone, Debug, Default)]
pub struct CheckpointSettings {
    #[command(flatten)]
    key: SigningKeySettings,

    /// Write a signed checkpoint of the log to this file, which should not stay on this machine
    #[arg(long, value_name = "FILE", env = "SUBLEDGER_CHECKPOINT_FILE")]
    checkpoint_file: Option<PathBuf>,

    /// How often, if the log has grown; without a file, the checkpoint is a line of the program's own log
    /// [default: 60 with a file, else never]
    #[arg(
        long,
        value_name = "SECONDS",
        env = "SUBLEDGER_CHECKPOINT_EVERY_SECONDS",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    checkpoint_every_seconds: Option<u32>,
}

/// A key that cannot be used, or is missing.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The text is none.
    #[error("the signing key cannot be used: {0}")]
    Key(KeyError),
    /// The file.
    #[error("cannot read the signing key {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason that the system gave.
        source: std::io::Error,
    },
    /// Nobody can tell which of two keys is meant.
    #[error("{SIGNING_KEY} and --signing-key-file are both set")]
    Twice,
    /// What is signed needs a key.
    #[error("{SIGNING_KEY} is not set, so no checkpoint could be signed")]
    Missing,
}

impl SigningError {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Key(_) | Self::Unreadable { .. } | Self::Missing => {
                "`subledger log keygen` makes a key; SUBLEDGER_SIGNING_KEY_FILE names its file"
            }
            Self::Twice => "set one of the two",
        }
    }
}

impl SigningKeySettings {
    /// The key; none where none is set.
    pub fn key(&self) -> Result<Option<SigningKey>, ConfigError> {
        let from_env = match std::env::var(SIGNING_KEY) {
            Ok(text) if text.trim().is_empty() => None,
            Ok(text) => Some(SecretString::from(text)),
            Err(std::env::VarError::NotPresent) => None,
            Err(std::env::VarError::NotUnicode(_)) => {
                return Err(ConfigError::NotUnicode(SIGNING_KEY));
            }
        };
        let text = match (from_env, &self.signing_key_file) {
            (Some(_), Some(_)) => return Err(SigningError::Twice.into()),
            (Some(text), None) => text,
            (None, Some(path)) => {
                let unreadable = |source| SigningError::Unreadable { path: path.clone(), source };
                SecretString::from(std::fs::read_to_string(path).map_err(unreadable)?)
            }
            (None, None) => return Ok(None),
        };
        let key = SigningKey::parse(text.expose_secret().trim());
        key.map(Some).map_err(|error| SigningError::Key(error).into())
    }

    /// The key, of which there must be one.
    pub fn required(&self) -> Result<SigningKey, ConfigError> {
        Ok(self.key()?.ok_or(SigningError::Missing)?)
    }
}

impl CheckpointSettings {
    /// What signs checkpoints, and whether they are published.
    pub fn signing(&self) -> Result<Option<Signing>, ConfigError> {
        let publishing = match (&self.checkpoint_file, self.checkpoint_every_seconds) {
            (None, None) => None,
            (file, seconds) => Some(Publishing {
                file: file.clone(),
                every: Duration::from_secs(u64::from(seconds.unwrap_or(EVERY_SECONDS))),
            }),
        };
        match (self.key.key()?, publishing) {
            (Some(key), publishing) => Ok(Some(Signing { key, publishing })),
            (None, Some(_)) => Err(SigningError::Missing.into()),
            (None, None) => Ok(None),
        }
    }
}
