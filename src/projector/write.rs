//! Batches of a rebuild: made on all processors, while the one before is written.

use futures_util::{Stream, TryStreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::batch::beside_the_runtime;
use super::bulk::batch_of;
use super::incremental::rows_of_states;
use super::spill::{Merge, Pieces};
use crate::ids::CustomerKey;
use crate::projection::read_model::RowMaker;
use crate::store::{FoldBatch, GenerationTables, JoinedGroups, Joining, ReadModel, StoreError};

/// Customers that are written in one transaction, and their memory.
const PIECES: Pieces = Pieces { customers: 512, bytes: 16 << 20 };
/// Rows that are read at once to be joined.
const GROUP_ROWS: usize = 2_048;
/// Batches that are ready to be written.
const BATCHES_AHEAD: usize = 2;

/// Batches that are being made.
#[derive(Debug)]
pub(super) struct Batches {
    ready: mpsc::Receiver<Batch>,
    making: JoinHandle<Result<(), StoreError>>,
}

/// Batch that is ready to be written.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) rows: FoldBatch,
    /// Number of customers.
    pub(super) customers: usize,
}

impl Batches {
    /// Starts to make the batches of customers that were folded in memory: their states, rows and timelines.
    pub(super) fn of_fold(customers: Merge, maker: RowMaker) -> Self {
        let pieces = stream::try_unfold(customers, |mut customers| async move {
            // Runs are read from a file.
            beside_the_runtime(move || {
                Ok(customers.next_piece(PIECES)?.map(|piece| (piece, customers)))
            })
            .await?
        });
        Self::start(pieces, Vec::len, move |piece| batch_of(piece, &maker))
    }

    /// Starts to make the rows of all customers of a fold layer, from their states.
    pub(super) fn of_states(
        read_model: ReadModel,
        tables: GenerationTables,
        maker: RowMaker,
    ) -> Self {
        // The default is before the keys of all customers.
        let first = Some((read_model, CustomerKey::default()));
        let pages = stream::try_unfold(first, move |from| async move {
            let Some((read_model, after)) = from else { return Ok(None) };
            let page = read_model.states_after(tables, &after, PIECES.customers).await?;
            let next = page.last().map(|(last, _)| (read_model, last.clone()));
            Ok((!page.is_empty()).then_some((page, next)))
        });
        Self::start(pages, Vec::len, move |page| rows_of_states(page, &maker))
    }

    /// Starts to join the rows of a table, after all rows that they are joined from were written.
    pub(super) fn of_joins(
        read_model: ReadModel,
        tables: GenerationTables,
        joining: Joining,
    ) -> Self {
        let groups = JoinedGroups::new(read_model, tables, joining);
        let pages = stream::try_unfold(groups, |mut groups| async move {
            let page = groups.next(GROUP_ROWS).await?;
            Ok((!page.is_empty()).then_some((page, groups)))
        });
        Self::start(pages, |_| 0, move |page| Ok(joining.join(page)))
    }

    fn start<P: Send + 'static>(
        pieces: impl Stream<Item = Result<P, StoreError>> + Send + 'static,
        count: fn(&P) -> usize,
        make: impl Fn(P) -> Result<FoldBatch, StoreError> + Clone + Send + Sync + 'static,
    ) -> Self {
        let (sender, ready) = mpsc::channel(BATCHES_AHEAD);
        Self { ready, making: tokio::spawn(send(pieces, count, make, sender)) }
    }

    /// Next batch. None at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Batch>, StoreError> {
        if let Some(batch) = self.ready.recv().await {
            return Ok(Some(batch));
        }
        let made = (&mut self.making).await;
        made.map_err(|error| StoreError::Internal(error.into()))??;
        Ok(None)
    }
}

/// Makes batches in the order of the customers, until nobody wants them.
async fn send<P: Send + 'static>(
    pieces: impl Stream<Item = Result<P, StoreError>>,
    count: fn(&P) -> usize,
    make: impl Fn(P) -> Result<FoldBatch, StoreError> + Clone + Send + Sync + 'static,
    ready: mpsc::Sender<Batch>,
) -> Result<(), StoreError> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let batches = pieces.map_ok(|piece| {
        let (make, customers) = (make.clone(), count(&piece));
        async move {
            let rows = beside_the_runtime(move || make(piece)).await??;
            Ok(Batch { rows, customers })
        }
    });
    let mut batches = std::pin::pin!(batches.try_buffered(processors));
    while let Some(batch) = batches.try_next().await? {
        if ready.send(batch).await.is_err() {
            break;
        }
    }
    Ok(())
}
