//! Commands of a person about generations: activate one, drop one.

use super::generation::is_of_this_log;
use super::lease_watch::claim;
use super::progress::grouped;
use crate::clock::Clock;
use crate::ids::Position;
use crate::store::{Generation, GenerationId, GenerationStatus, Store, StoreError};

/// Failure to activate or drop a generation. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    /// It was built from another log.
    #[error("generation {0} was built from another log")]
    OfAnotherLog(GenerationId),
    /// A process is building it.
    #[error(
        "process {process} is building generation {generation} and has folded {} of {} events",
        grouped(position.0), grouped(size.0)
    )]
    BeingBuilt {
        /// That generation.
        generation: GenerationId,
        /// Number of the process.
        process: String,
        /// Position up to which it is folded.
        position: Position,
        /// Number of events in the log.
        size: Position,
    },
    /// A database failed, or forbids it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl GenerationError {
    /// Advice to a person.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::OfAnotherLog(_) => Some("`subledger rebuild` builds one from this log"),
            Self::BeingBuilt { .. } => Some(
                "stop that process: it drops its generation when it ends; if it is killed, drop it then",
            ),
            Self::Store(error) => error.hint(),
        }
    }
}

/// Makes a complete generation of this log live and pins it, and returns it. The follower continues with it, by the
/// policy that is stored with it.
pub async fn activate(store: &Store, id: GenerationId) -> Result<Generation, GenerationError> {
    if !is_of_this_log(store, &find(store, id).await?).await? {
        return Err(GenerationError::OfAnotherLog(id));
    }
    store.read_model.generation_activate(id).await?;
    Ok(find(store, id).await?)
}

/// Drops a generation that is neither live nor being built, and frees its space.
pub async fn drop_generation(
    store: &Store,
    clock: &Clock,
    id: GenerationId,
) -> Result<(), GenerationError> {
    let Generation { status, lease_holder, position, .. } = find(store, id).await?;
    if status == GenerationStatus::Building {
        // If the process that was building it comes back, it finds its lease lost.
        if claim(store, id, clock).await?.is_none() {
            let process = lease_holder.as_deref().and_then(|holder| holder.split('-').next());
            let process = process.unwrap_or("unknown").to_owned();
            let size = store.log.head().await?.size;
            return Err(GenerationError::BeingBuilt { generation: id, process, position, size });
        }
    }
    Ok(store.read_model.generation_drop(id).await?)
}

async fn find(store: &Store, id: GenerationId) -> Result<Generation, StoreError> {
    let generations = store.read_model.generations().await?;
    generations.into_iter().find(|it| it.id == id).ok_or(StoreError::NoGeneration(id))
}
