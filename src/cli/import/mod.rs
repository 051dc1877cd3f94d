//! `import`: events from files into the log.
//!
//! An export into an empty log is a *restore*: it gives the same log, root and all. Everything else is
//! appended as received now, and says `import` unless its signature verifies. What the log knows already is
//! skipped; what cannot be read or taken is reported with its place, and the rest goes on.

mod admit;
mod batch;
mod reader;
mod record;
mod restore;

use std::path::PathBuf;

use tokio::sync::mpsc;

use self::admit::admit;
use self::batch::{ImportBatch, ImportEntry};
use self::record::{InputRecord, RecordContent, SourceLine};
use self::restore::{Restore, RestoreStep};
use super::Context;
use super::report::{Exit, Failure, say};
use crate::config::{Secrets, WEBHOOK_SECRET};
use crate::store::{Appended, EventSource, NewEvent, OpenMode, Redelivery, Store, StoreError};
use crate::stripe::Verifier;

/// Records that are read ahead of the database.
const RECORDS_AHEAD: usize = 1_000;

/// Exits with 1 where any record was bad.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Files with one event, one event a line, a list page of Stripe's API, or an export; - is standard
    /// input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let secrets = Secrets::from_env(WEBHOOK_SECRET)?;
    // A delivery of years ago is as good as one of today.
    let verifier = (!secrets.is_empty()).then(|| Verifier::new(secrets.expose(), None));
    let store = context.open(OpenMode::Create).await?;
    let (sender, mut records) = mpsc::channel(RECORDS_AHEAD);
    let reading = tokio::task::spawn_blocking(move || {
        args.paths.iter().try_for_each(|path| reader::read(path, &sender))
    });
    let restore = Restore::begin(&store.log).await?;
    let mut import = Import {
        store: &store,
        verifier: verifier.as_ref(),
        restore,
        batch: ImportBatch::default(),
        counts: ImportCounts::default(),
    };
    while let Some(record) = records.recv().await {
        import.take(record).await?;
    }
    import.flush().await?;
    let counts = import.counts;
    // A file that cannot be read ends the import; what came before it is in the log.
    let read = reading.await?;
    let head = store.log.head().await?;
    store.close().await;
    if read.is_ok() || counts.new + counts.known + counts.bad > 0 {
        counts.say(head.size.0, verifier.is_some());
    }
    read?;
    Ok(if counts.bad == 0 { Exit::Done } else { Exit::No })
}

/// Counts of an import.
#[derive(Default)]
struct ImportCounts {
    new: u64,
    known: u64,
    bad: u64,
    /// New events whose line named a source that no signature proves.
    unproven: usize,
}

impl ImportCounts {
    fn count(&mut self, appended: &[Appended]) {
        for it in appended {
            *(if it.duplicate { &mut self.known } else { &mut self.new }) += 1;
        }
    }

    fn say(&self, size: i64, has_secrets: bool) {
        if self.unproven > 0 {
            let why = if has_secrets {
                "no configured secret verifies their signature".to_owned()
            } else {
                format!("set {WEBHOOK_SECRET} to verify their signatures")
            };
            say(&format!(
                "{} events are imported with the source `import`, whatever their line says: {why}",
                self.unproven
            ));
        }
        say(&format!(
            "imported {} events, skipped {} that the log has already, {} bad records; the log has {size}",
            self.new, self.known, self.bad
        ));
    }
}

struct Import<'a> {
    store: &'a Store,
    verifier: Option<&'a Verifier>,
    /// None once the log has other events than those of the export.
    restore: Option<Restore>,
    /// Entries to restore while there is a restore, to append otherwise.
    batch: ImportBatch,
    counts: ImportCounts,
}

impl Import<'_> {
    async fn take(
        &mut self,
        InputRecord { place, content }: InputRecord,
    ) -> Result<(), StoreError> {
        match content {
            Err(reason) => self.refuse(&place, &reason),
            Ok(RecordContent::Event(event)) => {
                if self.restore.is_some() {
                    self.flush().await?;
                    self.restore = None;
                }
                self.push(ImportEntry::without_redeliveries(place, event, false)).await?;
            }
            Ok(RecordContent::Exported(event, redeliveries)) => {
                let entry = ImportEntry {
                    redeliveries,
                    ..ImportEntry::without_redeliveries(place, event, false)
                };
                self.take_exported(entry).await?;
            }
        }
        Ok(())
    }

    async fn take_exported(&mut self, entry: ImportEntry) -> Result<(), StoreError> {
        let log = &self.store.log;
        let Some(restore) = &mut self.restore else { return self.admit(entry).await };
        match restore.step(log, &entry.event).await? {
            RestoreStep::Restored => return self.push(entry).await,
            RestoreStep::Confirmed(position) => {
                self.counts.known += 1;
                // An interruption may have come between an event and its redeliveries.
                let redeliveries = entry.redeliveries.into_iter();
                let placed: Vec<_> = redeliveries.map(|it| Redelivery { position, ..it }).collect();
                if !placed.is_empty() {
                    log.restore_redeliveries(&placed).await?;
                }
                return Ok(());
            }
            RestoreStep::Mismatch => {}
        }
        self.flush().await?;
        if self.has(&entry.event).await? {
            self.counts.known += 1;
            return Ok(());
        }
        self.end_restore(&entry.place);
        self.admit(entry).await
    }

    /// Takes a line of an export for what it proves by itself.
    async fn admit(&mut self, entry: ImportEntry) -> Result<(), StoreError> {
        match admit(&entry.event, self.verifier) {
            Ok(admitted) => {
                self.push(ImportEntry::without_redeliveries(
                    entry.place,
                    admitted.event,
                    admitted.unproven,
                ))
                .await
            }
            Err(reason) => {
                self.flush().await?;
                if self.has(&entry.event).await? {
                    self.counts.known += 1;
                } else {
                    self.refuse(&entry.place, &reason);
                }
                Ok(())
            }
        }
    }

    /// Goes on without a restore, and says so.
    fn end_restore(&mut self, place: &SourceLine) {
        if self.restore.take().is_some() {
            say(&format!(
                "{place}: the log has other events already, or the export is not in order: from here \
                 on it is appended, as received now"
            ));
        }
    }

    /// True if the log has this event. A record of Subledger itself must be the same to the byte.
    async fn has(&self, event: &NewEvent) -> Result<bool, StoreError> {
        let facts = event.facts();
        let (account, livemode) = (&facts.scope.account, facts.scope.livemode);
        let found = self.store.log.event(&facts.event_id, Some(account), Some(livemode)).await?;
        let own = |source| source == EventSource::Subledger;
        Ok(found.iter().any(|it| match (own(event.source()), own(it.source)) {
            (false, false) => true,
            (true, true) => it.payload_hash == event.payload_hash(),
            _ => false,
        }))
    }

    fn refuse(&mut self, place: &SourceLine, reason: &str) {
        self.counts.bad += 1;
        say(&format!("{place}: {reason}"));
    }

    async fn push(&mut self, entry: ImportEntry) -> Result<(), StoreError> {
        self.batch.push(entry);
        if self.batch.is_full() { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let batch = std::mem::take(&mut self.batch);
        let log = &self.store.log;
        if self.restore.is_none() {
            let appended = batch.append(log).await?;
            self.counts.count(&appended);
            self.counts.unproven += batch.unproven(&appended);
            return Ok(());
        }
        match batch.restore(log).await {
            // Somebody else has appended since the import began.
            Err(StoreError::NotEmpty { .. }) => {
                for entry in batch.into_entries() {
                    self.end_restore(&entry.place);
                    // A flush on the way appends: the restore has ended.
                    Box::pin(self.admit(entry)).await?;
                }
                Box::pin(self.flush()).await
            }
            restored => {
                self.counts.count(&restored?);
                Ok(())
            }
        }
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
