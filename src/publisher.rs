//! Publisher of checkpoints while the service runs. A root that is stored elsewhere cannot be edited together with the
//! log.
//!
//! A log that does not continue the published one (an older backup, or one that was rewritten) is reported and not
//! published: the published checkpoint stays as evidence. Events are still received.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::audit;
use crate::proof::{Checkpoint, SigningKey};
use crate::store::{Log, StoreError};

/// Options for checkpoints.
#[derive(Clone, Debug)]
pub struct CheckpointOptions {
    /// Key that signs them.
    pub key: SigningKey,
    /// Options for publishing; none if checkpoints are only signed on request.
    pub publish: Option<PublishOptions>,
}

/// Options for publishing checkpoints.
#[derive(Clone, Debug)]
pub struct PublishOptions {
    /// File to write; none for the program's log.
    pub file: Option<PathBuf>,
    /// Interval between checkpoints, if the log has grown.
    pub every: Duration,
}

/// Error that prevents publishing.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The file cannot be read, or its directory cannot be written.
    #[error("cannot write checkpoints to {}: {source}", .path.display())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// The file is no checkpoint of the key, and must not be overwritten.
    #[error("{} exists and is not a checkpoint of the signing key", .path.display())]
    OtherFile {
        /// Path of the file.
        path: PathBuf,
    },
}

/// Publisher of checkpoints.
#[derive(Debug)]
pub struct Publisher {
    key: SigningKey,
    options: PublishOptions,
    last: Option<Checkpoint>,
}

/// Outcome of publishing a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PublishOutcome {
    Published,
    /// The log has not grown since the last checkpoint.
    NotGrown,
    /// The log does not continue the published one.
    Forked,
}

/// Error of one attempt to publish.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the file cannot be written: {0}")]
    File(#[from] io::Error),
}

impl Publisher {
    /// Checks that the file can be written, and reads the checkpoint that was published last.
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
            temporary_beside(path).map_err(cannot)?;
        }
        Ok(Self { key, options, last })
    }

    /// Publishes at the interval until `stop` is cancelled, and then once more.
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
                            "the log does not continue the published checkpoint of {size} events: it was rewritten, or is \
                             an older backup; checkpoints are no longer published"
                        );
                        return;
                    }
                    Ok(PublishOutcome::Published | PublishOutcome::NotGrown) => {}
                    Err(error) => tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "could not publish the checkpoint: {error}"
                    ),
                }
                if is_last {
                    return;
                }
            }
        })
    }

    #[tracing::instrument(level = "debug", skip_all)]
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

/// Replaces the file atomically: a reader sees the old text or the new one, also after a crash.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut file = temporary_beside(path)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Creates a temporary file in the same directory. Everybody may read it, because checkpoints are public.
fn temporary_beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
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
