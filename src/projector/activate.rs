//! What a person decides about generations: which one answers, and which one goes.

use super::generation::is_of_this_log;
use super::holder::claim;
use super::progress::grouped;
use crate::clock::Clock;
use crate::ids::Position;
use crate::store::{Generation, GenerationId, GenerationStatus, Store, StoreError};

/// Why a generation was not activated or dropped. Everything is as it was.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    /// It was made from another log, and knows nothing of this one.
    #[error("generation {0} was made from another log")]
    OfAnotherLog(GenerationId),
    /// Somebody is making it.
    #[error(
        "process {process} is making generation {generation} and has folded {} of {} events",
        grouped(position.0), grouped(size.0)
    )]
    BeingMade {
        /// Which.
        generation: GenerationId,
        /// The process that does.
        process: String,
        /// How far it is.
        position: Position,
        /// How many events the log has.
        size: Position,
    },
    /// A database failed, or forbids it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl GenerationError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::OfAnotherLog(_) => Some("`subledger rebuild` makes one from this log"),
            Self::BeingMade { .. } => {
                Some("stop that process: what it has made goes with it, or can then be dropped")
            }
            Self::Store(error) => error.hint(),
        }
    }
}

/// Makes a complete generation of this log the live one at once, and pins it; gives it back as it
/// is now. Whoever follows the log goes on with it, by the policy that is stored with it.
pub async fn activate(store: &Store, id: GenerationId) -> Result<Generation, GenerationError> {
    if !is_of_this_log(store, &find(store, id).await?).await? {
        return Err(GenerationError::OfAnotherLog(id));
    }
    store.read_model.generation_activate(id).await?;
    Ok(find(store, id).await?)
}

/// Drops a generation that is neither live nor being made, and gives its space back to the disk.
pub async fn drop_generation(
    store: &Store,
    clock: &Clock,
    id: GenerationId,
) -> Result<(), GenerationError> {
    let Generation { status, lease_holder, position, .. } = find(store, id).await?;
    if status == GenerationStatus::Building {
        // Whoever was making it and comes back finds that its lease is gone.
        if claim(store, id, clock).await?.is_none() {
            let process = lease_holder.as_deref().and_then(|holder| holder.split('-').next());
            let process = process.unwrap_or("unknown").to_owned();
            let size = store.log.head().await?.size;
            return Err(GenerationError::BeingMade { generation: id, process, position, size });
        }
    }
    Ok(store.read_model.generation_drop(id).await?)
}

async fn find(store: &Store, id: GenerationId) -> Result<Generation, StoreError> {
    let generations = store.read_model.generations().await?;
    generations.into_iter().find(|it| it.id == id).ok_or(StoreError::NoGeneration(id))
}
