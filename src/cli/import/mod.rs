//! `import`: appends events from files to the log.
//!
//! Importing an export into an empty log is a *restore*: the log is the same, with the same root. Other events are
//! appended with the current time of receipt, and with the source `import` unless their signature verifies. Events that
//! the log has are skipped. A record that cannot be read or appended is reported with its line, and the import goes on.
//!
//! Objects that are not events, such as the subscriptions of a list page, become observations of the time at which they
//! were seen, which a person states.

mod admit;
mod batch;
mod foreign;
mod reader;
mod record;
mod refused;
mod restore;
mod scan;
mod source;

use std::path::PathBuf;

use tokio::sync::mpsc;

use self::admit::admit;
use self::batch::{ImportBatch, ImportEntry};
use self::record::{InputRecord, ObjectOrigin, RecordContent, SourceLine};
use self::restore::{Restore, RestoreStep};
use super::Context;
use super::report::{Exit, Failure, print_message};
use crate::config::{Secrets, WEBHOOK_SECRET};
use crate::ids::AccountId;
use crate::store::{Appended, EventSource, NewEvent, OpenMode, Redelivery, Store, StoreError};
use crate::stripe::Verifier;
use crate::time::StripeTime;

/// Greatest number of records that are read ahead of the database.
const RECORDS_AHEAD: usize = 1_000;

/// Exit status: 1 if any record was invalid.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Files to import: events or objects of Stripe's API, as JSON lines, arrays or list pages, or an export. They may
    /// be compressed with gzip. - is standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Time at which Stripe showed the objects that are not events, such as subscriptions of a list page. A date is its
    /// midnight in UTC. If in doubt, give an earlier time: later events win
    #[arg(long, value_name = "TIME", value_parser = instant_or_date)]
    seen_at: Option<StripeTime>,

    /// Connected account that these objects belong to. Events name theirs
    #[arg(long, value_name = "ACCOUNT", default_value = "", hide_default_value = true)]
    account: String,
}

/// Parses an instant, or a date as its midnight.
fn instant_or_date(text: &str) -> Result<StripeTime, &'static str> {
    let midnight = || StripeTime::parse(&format!("{text}T00:00:00Z"));
    StripeTime::parse(text)
        .or_else(midnight)
        .ok_or("expected an instant such as 2026-03-01T00:00:00Z, or a date such as 2026-03-01")
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let now = context.clock.now().to_stripe_time();
    if let Some(future) = args.seen_at.filter(|seen_at| *seen_at > now) {
        return Err(Failure::usage(
            format!("--seen-at {future} is in the future: it is {now}"),
            "give the time at which the file was read from Stripe",
        ));
    }
    let origin = ObjectOrigin {
        seen_at: args.seen_at,
        account: AccountId::new(args.account),
        livemode: context.settings.mode.livemode(),
    };
    let secrets = Secrets::from_env(WEBHOOK_SECRET)?;
    // An old delivery is as valid as a new one.
    let verifier = (!secrets.is_empty()).then(|| Verifier::new(secrets.expose(), None));
    let store = context.open(OpenMode::Create).await?;
    let (sender, mut records) = mpsc::channel(RECORDS_AHEAD);
    let reading = tokio::task::spawn_blocking(move || {
        args.paths.iter().try_for_each(|path| reader::read(path, &origin, &sender))
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
    // A file that cannot be read ends the import. The records before it are in the log.
    let read = reading.await?;
    let head = store.log.head().await?;
    store.close().await;
    if read.is_ok() || counts.new + counts.known + counts.invalid > 0 {
        counts.report(head.size.0, verifier.is_some());
    }
    read?;
    Ok(if counts.invalid == 0 { Exit::Done } else { Exit::No })
}

/// Counts of an import.
#[derive(Default)]
struct ImportCounts {
    new: u64,
    known: u64,
    invalid: u64,
    /// New events whose line has a source that no signature proves.
    unproven: usize,
    /// Subscriptions whose list of items Stripe cut.
    cut: u64,
}

impl ImportCounts {
    fn add(&mut self, appended: &[Appended]) {
        for it in appended {
            *(if it.duplicate { &mut self.known } else { &mut self.new }) += 1;
        }
    }

    fn report(&self, size: i64, has_secrets: bool) {
        if self.unproven > 0 {
            let why = if has_secrets {
                "no configured secret verifies their signatures".to_owned()
            } else {
                format!("set {WEBHOOK_SECRET} to verify their signatures")
            };
            print_message(&format!(
                "imported {} events with the source `import` instead of that of their line: {why}",
                self.unproven
            ));
        }
        if self.cut > 0 {
            print_message(&format!(
                "{} subscriptions have more than ten items, of which Stripe's list has only ten; `subledger backfill` \
                 reads the rest",
                self.cut
            ));
        }
        print_message(&format!(
            "imported {} events, skipped {} that the log already has, {} invalid records; the log has {size} events",
            self.new, self.known, self.invalid
        ));
    }
}

struct Import<'a> {
    store: &'a Store,
    verifier: Option<&'a Verifier>,
    /// None once the log has events that are not in the export.
    restore: Option<Restore>,
    /// Entries to restore during a restore, and to append otherwise.
    batch: ImportBatch,
    counts: ImportCounts,
}

impl Import<'_> {
    async fn take(&mut self, InputRecord { line, content }: InputRecord) -> Result<(), StoreError> {
        match content {
            Err(reason) => self.refuse(&line, &reason),
            Ok(RecordContent::Event(event)) => self.take_new(line, event).await?,
            Ok(RecordContent::Object { event, has_more_items }) => {
                self.counts.cut += u64::from(has_more_items);
                self.take_new(line, event).await?;
            }
            Ok(RecordContent::Exported(event, redeliveries)) => {
                let entry = ImportEntry {
                    redeliveries,
                    ..ImportEntry::without_redeliveries(line, event, false)
                };
                self.take_exported(entry).await?;
            }
        }
        Ok(())
    }

    /// Takes what is no line of an export. It ends a restore.
    async fn take_new(&mut self, line: SourceLine, event: NewEvent) -> Result<(), StoreError> {
        if self.restore.is_some() {
            self.flush().await?;
            self.restore = None;
        }
        self.push(ImportEntry::without_redeliveries(line, event, false)).await
    }

    async fn take_exported(&mut self, entry: ImportEntry) -> Result<(), StoreError> {
        let log = &self.store.log;
        let Some(restore) = &mut self.restore else { return self.admit(entry).await };
        match restore.step(log, &entry.event).await? {
            RestoreStep::Restored => return self.push(entry).await,
            RestoreStep::Confirmed(position) => {
                self.counts.known += 1;
                // An interruption may have separated an event from its redeliveries.
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
        self.end_restore(&entry.line);
        self.admit(entry).await
    }

    /// Appends an exported event outside of a restore, if it may be appended.
    async fn admit(&mut self, entry: ImportEntry) -> Result<(), StoreError> {
        match admit(&entry.event, self.verifier) {
            Ok(admitted) => {
                self.push(ImportEntry::without_redeliveries(
                    entry.line,
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
                    self.refuse(&entry.line, &reason);
                }
                Ok(())
            }
        }
    }

    /// Ends the restore and reports it. The import continues without.
    fn end_restore(&mut self, line: &SourceLine) {
        if self.restore.take().is_some() {
            print_message(&format!(
                "{line}: the log has other events, or the export is not in order. This event and those after it \
                 are appended with the current time of receipt"
            ));
        }
    }

    /// True if the log has this event. The record of an erasure must be equal to the byte.
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

    fn refuse(&mut self, line: &SourceLine, reason: &str) {
        self.counts.invalid += 1;
        print_message(&format!("{line}: {reason}"));
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
            self.counts.add(&appended);
            self.counts.unproven += batch.unproven(&appended);
            return Ok(());
        }
        match batch.restore(log).await {
            // Another process has appended since the import began.
            Err(StoreError::NotEmpty { .. }) => {
                for entry in batch.into_entries() {
                    self.end_restore(&entry.line);
                    // A flush in between appends, because the restore has ended.
                    Box::pin(self.admit(entry)).await?;
                }
                Box::pin(self.flush()).await
            }
            restored => {
                self.counts.add(&restored?);
                Ok(())
            }
        }
    }
}

impl From<reader::ReadError> for anyhow::Error {
    fn from(error: reader::ReadError) -> Self {
        Failure::failed(
            format!("cannot read {}: {}", error.path.display(), error.source),
            "the events before it are in the log; run the import again, it skips them",
        )
    }
}
