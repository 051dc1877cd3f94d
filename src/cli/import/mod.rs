//! `import`: events from files into the log.
//!
//! An export into an empty log gives the same log, root and all. Everything else is appended, and
//! was received now. What the log knows already is skipped; what cannot be read is reported with
//! its place, and the rest goes on.

mod reader;
mod record;

use std::path::PathBuf;

use tokio::sync::mpsc;

use self::record::Record;
use super::Context;
use super::report::{Exit, Failure, say};
use crate::store::{Appended, NewEvent, Opening, Redelivery, Store, StoreError};

/// Events in one transaction, at most.
const BATCH_EVENTS: usize = 500;
/// Bytes of payload in one transaction, about.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Records that are read ahead of the database.
const RECORDS_AHEAD: usize = 1_000;

/// Exits with 1 where any record was bad.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Files with an event, events line by line, a list page of Stripe's API, or an export; - is
    /// standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let store = context.open(Opening::Create).await?;
    let (sender, mut records) = mpsc::channel(RECORDS_AHEAD);
    let reading = tokio::task::spawn_blocking(move || {
        args.paths.iter().try_for_each(|path| reader::read(path, &sender))
    });
    let mut import =
        Import { store: &store, restoring: true, batch: Batch::default(), tally: Tally::default() };
    while let Some(record) = records.recv().await {
        import.take(record).await?;
    }
    import.flush().await?;
    let tally = import.tally;
    // A file that cannot be read ends the import; what came before it is in the log.
    let read = reading.await?;
    let head = store.log.head().await?;
    store.close().await;
    if read.is_ok() || tally.new + tally.known + tally.bad > 0 {
        say(&format!(
            "imported {} events, skipped {} that the log has already, {} bad records; the log has {}",
            tally.new, tally.known, tally.bad, head.size
        ));
    }
    read?;
    Ok(if tally.bad == 0 { Exit::Done } else { Exit::No })
}

#[derive(Default)]
struct Tally {
    new: u64,
    known: u64,
    bad: u64,
}

#[derive(Default)]
struct Batch {
    events: Vec<NewEvent>,
    /// Redeliveries of exported events, each with its event's index.
    redeliveries: Vec<(usize, Redelivery)>,
    bytes: usize,
    /// Whether these come from an export.
    exported: bool,
}

struct Import<'a> {
    store: &'a Store,
    /// Whether exported events still get their own times: as long as nothing else is in the log.
    restoring: bool,
    batch: Batch,
    tally: Tally,
}

impl Import<'_> {
    async fn take(&mut self, record: Record) -> Result<(), StoreError> {
        let (event, redeliveries) = match record.event {
            Ok(event) => event,
            Err(reason) => {
                self.tally.bad += 1;
                say(&format!("{}: {reason}", record.place));
                return Ok(());
            }
        };
        if record.exported != self.batch.exported {
            self.flush().await?;
            self.batch.exported = record.exported;
        }
        let index = self.batch.events.len();
        self.batch.redeliveries.extend(redeliveries.into_iter().map(|it| (index, it)));
        self.batch.bytes += event.stored_bytes();
        self.batch.events.push(event);
        if self.batch.events.len() >= BATCH_EVENTS || self.batch.bytes >= BATCH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let exported = self.batch.exported;
        let batch = std::mem::replace(&mut self.batch, Batch { exported, ..Batch::default() });
        for appended in self.write(batch).await? {
            let count =
                if appended.duplicate { &mut self.tally.known } else { &mut self.tally.new };
            *count += 1;
        }
        Ok(())
    }

    async fn write(&mut self, batch: Batch) -> Result<Vec<Appended>, StoreError> {
        let log = &self.store.log;
        if batch.exported && self.restoring {
            match log.restore(&batch.events).await {
                Err(StoreError::NotEmpty { .. } | StoreError::NotInOrder { .. }) => {
                    say("the log has other events already, or the export is not in order: \
                         it is appended, as received now");
                    self.restoring = false;
                }
                Err(error) => return Err(error),
                Ok(restored) => {
                    let redeliveries = batch
                        .redeliveries
                        .into_iter()
                        .map(|(index, it)| Redelivery { position: restored[index].position, ..it });
                    log.restore_redeliveries(&redeliveries.collect::<Vec<_>>()).await?;
                    return Ok(restored);
                }
            }
        }
        // Nobody verified these here, whatever their lines say.
        let events: Vec<_> = batch.events.into_iter().map(|it| it.signed_with(None)).collect();
        log.append(&events).await
    }
}

impl From<reader::ReadError> for anyhow::Error {
    fn from(error: reader::ReadError) -> Self {
        Failure::failed(
            format!("cannot read {}: {}", error.path.display(), error.source),
            "what was read before it is in the log; an import that is run again skips that",
        )
    }
}
