//! Checkpoints that leave the machine while the service runs: a root that stands elsewhere cannot be edited
//! together with the log.
//!
//! A log that is not the continuation of the one that was published (an older backup, or one that somebody
//! has rewritten) is said and not published: what stands elsewhere stays as evidence. Events are received
//! all the same.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::audit;
use crate::proof::{Checkpoint, SigningKey};
use crate::store::{Log, StoreError};

/// What signs checkpoints.
#[derive(Clone, Debug)]
pub struct CheckpointOptions {
    /// The key.
    pub key: SigningKey,
    /// Whether they are published by themselves.
    pub publish: Option<PublishOptions>,
}

/// How checkpoints are published.
#[derive(Clone, Debug)]
pub struct PublishOptions {
    /// The file, or else the program's own log.
    pub file: Option<PathBuf>,
    /// How often, where the log has grown.
    pub every: Duration,
}

/// Why checkpoints cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The file cannot be read, or its directory not be written to.
    #[error("cannot write checkpoints to {}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason that the system gave.
        source: io::Error,
    },
    /// The file is something else, which must not be overwritten.
    #[error("{} is there and is no checkpoint of the signing key's", .path.display())]
    OtherFile {
        /// The file.
        path: PathBuf,
    },
}

/// Publishes checkpoints, one after the other.
#[derive(Debug)]
pub struct Publisher {
    key: SigningKey,
    options: PublishOptions,
    last: Option<Checkpoint>,
}

/// What became of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PublishOutcome {
    Published,
    /// The log is no longer than when it was published last.
    NotGrown,
    /// The log is not the continuation of the one that was published.
    Forked,
}

/// Why one was not published this time.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the file cannot be written: {0}")]
    File(#[from] io::Error),
}

impl Publisher {
    /// Makes sure that the file can be written, and reads what was published there last.
    pub fn new(key: SigningKey, options: PublishOptions) -> Result<Self, PublishError> {
        let mut last = None;
        if let Some(path) = &options.file {
            let cannot = |source| PublishError::File { path: path.clone(), source };
            let text = match std::fs::read(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
                read => read.map_err(cannot)?,
            };
            if !text.is_empty() {
                let text = std::str::from_utf8(&text).ok();
                let opened = text.and_then(|it| Checkpoint::open(it, key.verifier()).ok());
                let other = || PublishError::OtherFile { path: path.clone() };
                last = Some(opened.ok_or_else(other)?);
            }
            beside(path).map_err(cannot)?;
        }
        Ok(Self { key, options, last })
    }

    /// Publishes now and then until it is asked to stop, and once more then.
    pub fn start(mut self, log: Log, stop: CancellationToken) -> JoinHandle<()> {
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(self.options.every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let is_last = tokio::select! {
                    _ = ticks.tick() => false,
                    () = stop.cancelled() => true,
                };
                match self.publish(&log).await {
                    Ok(PublishOutcome::Forked) => {
                        let size = self.last.map_or(0, |it| it.size);
                        tracing::error!(
                            size,
                            "the log is not the one whose {size} events were signed: it was rewritten, or is \
                             an older backup; no checkpoint is published"
                        );
                        return;
                    }
                    Ok(PublishOutcome::Published | PublishOutcome::NotGrown) => {}
                    Err(error) => tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the checkpoint was not published: {error}"
                    ),
                }
                if is_last {
                    return;
                }
            }
        })
    }

    async fn publish(&mut self, log: &Log) -> Result<PublishOutcome, AttemptError> {
        if let Some(last) = &self.last
            && audit::checkpoint_at(log, last.size).await?.as_ref() != Some(last)
        {
            return Ok(PublishOutcome::Forked);
        }
        let checkpoint = audit::checkpoint(log).await?;
        if self.last == Some(checkpoint) {
            return Ok(PublishOutcome::NotGrown);
        }
        let signed = checkpoint.sign(&self.key);
        if let Some(path) = self.options.file.clone() {
            let written = tokio::task::spawn_blocking(move || replace(&path, &signed)).await;
            written.map_err(io::Error::from)??;
        } else {
            let size = checkpoint.size;
            tracing::info!(size, checkpoint = ?signed, "checkpoint of {size} events");
        }
        self.last = Some(checkpoint);
        Ok(PublishOutcome::Published)
    }
}

/// Writes the file so that whoever reads it sees the old text or the new one, also after a crash.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut file = beside(path)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// A new file in the same directory, which goes unless it takes the other's place. Everybody may read it:
/// a checkpoint is made to be shown.
fn beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    builder.prefix(".checkpoint-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o644));
    }
    builder.tempfile_in(parent.unwrap_or(Path::new(".")))
}
