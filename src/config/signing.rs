//! Settings for signing and publishing checkpoints.

use std::borrow::Cow;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};

use super::ConfigError;
use crate::proof::{KeyError, SigningKey};
use crate::publisher::{CheckpointOptions, PublishOptions};

/// Environment variable with the secret key.
pub const SIGNING_KEY: &str = "SUBLEDGER_SIGNING_KEY";

/// Default interval between checkpoints, in seconds.
const DEFAULT_INTERVAL_SECONDS: u32 = 60;

/// Source of the signing key.
#[derive(Args, Clone, Debug, Default)]
pub struct SigningKeySettings {
    /// File with the secret key that signs checkpoints, readable by its owner only. Not with `SUBLEDGER_SIGNING_KEY`
    #[arg(long, value_name = "FILE", env = "SUBLEDGER_SIGNING_KEY_FILE")]
    pub signing_key_file: Option<PathBuf>,
}

/// Settings for publishing checkpoints.
#[derive(Args, Clone, Debug, Default)]
pub struct CheckpointSettings {
    #[command(flatten)]
    key: SigningKeySettings,

    /// Write signed checkpoints of the log to this file. Copy it to another machine
    #[arg(long, value_name = "FILE", env = "SUBLEDGER_CHECKPOINT_FILE")]
    checkpoint_file: Option<PathBuf>,

    /// Interval between checkpoints, if the log has grown. Without a file, checkpoints go to the program's log
    /// [default: 60 with a file, else never]
    #[arg(
        long,
        value_name = "SECONDS",
        env = "SUBLEDGER_CHECKPOINT_EVERY_SECONDS",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    checkpoint_every_seconds: Option<u32>,
}

/// Error of the signing key.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The key is invalid.
    #[error("the signing key cannot be used: {0}")]
    Key(KeyError),
    /// The file cannot be read.
    #[error("cannot read the signing key {}: {source}", .path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// Other users can read the file, and could sign with the key.
    #[error("the signing key {} can be read by others (mode {mode:o})", .path.display())]
    Exposed {
        /// Path of the file.
        path: PathBuf,
        /// Permissions of the file.
        mode: u32,
    },
    /// Two keys are set.
    #[error("{SIGNING_KEY} and --signing-key-file are both set")]
    Twice,
    /// The key is missing.
    #[error("{SIGNING_KEY} is not set: no checkpoint could be signed")]
    Missing,
}

impl SigningError {
    /// Advice for the user.
    pub fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Key(_) | Self::Unreadable { .. } | Self::Missing => {
                "`subledger log keygen` makes a key; SUBLEDGER_SIGNING_KEY_FILE names its file"
                    .into()
            }
            Self::Exposed { path, .. } => format!("run `chmod 600 {}`", path.display()).into(),
            Self::Twice => "set one of the two".into(),
        }
    }
}

impl SigningKeySettings {
    /// Reads the key, if one is set.
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
            (None, Some(path)) => SecretString::from(read(path)?),
            (None, None) => return Ok(None),
        };
        let key = SigningKey::parse(text.expose_secret().trim());
        key.map(Some).map_err(|error| SigningError::Key(error).into())
    }

    /// Reads the key, which must be set.
    pub fn required(&self) -> Result<SigningKey, ConfigError> {
        Ok(self.key()?.ok_or(SigningError::Missing)?)
    }
}

/// Reads a key file. Only its owner may have permissions on it.
fn read(path: &Path) -> Result<String, SigningError> {
    let unreadable = |source| SigningError::Unreadable { path: path.to_owned(), source };
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    if let Some(mode) = shared_mode(&file).map_err(unreadable)? {
        return Err(SigningError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

/// Permissions of a file, if its group or others have any.
fn shared_mode(file: &std::fs::File) -> io::Result<Option<u32>> {
    let metadata = file.metadata()?;
    #[cfg(unix)]
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
    #[cfg(not(unix))]
    let mode = if metadata.is_file() { 0 } else { 0o777 };
    Ok(Some(mode).filter(|mode| mode & 0o077 != 0))
}

impl CheckpointSettings {
    /// Options for signing and publishing; none without a key.
    pub fn options(&self) -> Result<Option<CheckpointOptions>, ConfigError> {
        let publish = match (&self.checkpoint_file, self.checkpoint_every_seconds) {
            (None, None) => None,
            (file, seconds) => Some(PublishOptions {
                file: file.clone(),
                every: Duration::from_secs(u64::from(seconds.unwrap_or(DEFAULT_INTERVAL_SECONDS))),
            }),
        };
        match (self.key.key()?, publish) {
            (Some(key), publish) => Ok(Some(CheckpointOptions { key, publish })),
            (None, Some(_)) => Err(SigningError::Missing.into()),
            (None, None) => Ok(None),
        }
    }
}
