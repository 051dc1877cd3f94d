//! Batches of a drained fold: made on all processors, while the one before is written.

use futures_util::{TryStreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::batch::beside_the_runtime;
use super::bulk::batch_of;
use super::spill::{Merge, Pieces};
use crate::projection::Logic;
use crate::store::{FoldBatch, StoreError};

/// Customers that are written in one transaction, and their memory.
const PIECES: Pieces = Pieces { customers: 512, bytes: 16 << 20 };
/// Batches that are ready to be written.
const BATCHES_AHEAD: usize = 2;

/// Batches that are being made.
#[derive(Debug)]
pub(super) struct Batches {
    ready: mpsc::Receiver<FoldBatch>,
    making: JoinHandle<Result<(), StoreError>>,
}

impl Batches {
    /// Starts to make the batches of these customers.
    pub(super) fn start(customers: Merge, logic: Logic) -> Self {
        let (sender, ready) = mpsc::channel(BATCHES_AHEAD);
        Self { ready, making: tokio::spawn(make(customers, logic, sender)) }
    }

    /// Next batch. None at the end.
    pub(super) async fn next(&mut self) -> Result<Option<FoldBatch>, StoreError> {
        if let Some(batch) = self.ready.recv().await {
            return Ok(Some(batch));
        }
        let made = (&mut self.making).await;
        made.map_err(|error| StoreError::Internal(error.into()))??;
        Ok(None)
    }
}

/// Makes batches in the order of the customers, until nobody wants them.
async fn make(
    customers: Merge,
    logic: Logic,
    ready: mpsc::Sender<FoldBatch>,
) -> Result<(), StoreError> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let pieces = stream::try_unfold(customers, |mut customers| async move {
        // Runs are read from a file.
        beside_the_runtime(move || {
            Ok(customers.next_piece(PIECES)?.map(|piece| (piece, customers)))
        })
        .await?
    });
    let batches = pieces.map_ok(|piece| {
        let logic = logic.clone();
        async move { beside_the_runtime(move || batch_of(piece, &logic)).await? }
    });
    let mut batches = std::pin::pin!(batches.try_buffered(processors));
    while let Some(batch) = batches.try_next().await? {
        if ready.send(batch).await.is_err() {
            break;
        }
    }
    Ok(())
}
