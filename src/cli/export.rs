//! `export`: the log, one line an event, in constant memory.

use super::Context;
use super::csv_cells::CsvArgs;
use super::output::{RowWriter, StreamFormat, StreamOptions, stdout};
use super::report::{Exit, Failure, print_message};
use crate::exchange::EventRecord;
use crate::ids::Position;
use crate::store::{Damage, LogEntry, LoggedEvent, OpenMode, Redelivery, Store, StoreError};

/// Greatest number of events to read at a time.
const BATCH_EVENTS: usize = 500;
/// Approximate size of the payloads to read at a time, in bytes.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Write only events after this position, to continue an interrupted export. CSV then has no header
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: i64,

    /// Output format. `import` reads JSON lines
    #[arg(long, value_enum, default_value_t = StreamFormat::Jsonl)]
    format: StreamFormat,

    /// Skip damaged events, and report them on standard error. Exit status 1 if there are any
    #[arg(long)]
    skip_damaged: bool,

    #[command(flatten)]
    cells: CsvArgs,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let store = context.open(OpenMode::ReadOnly).await?;
    let options =
        StreamOptions { format: args.format, cells: args.cells, with_header: args.after == 0 };
    let mut lines = RowWriter::new(options, &EventRecord::KEYS, stdout())?;
    let mut skipped = Skipped { is_allowed: args.skip_damaged, events: 0 };
    let mut after = Position(args.after);
    loop {
        let entries = store.log.entries(after, BATCH_EVENTS, BATCH_BYTES).await?;
        let Some(last) = entries.last() else { break };
        let end = last.as_ref().map_or_else(|damage| damage.last, |event| event.position);
        let mut redeliveries = redeliveries(&store, &entries, (after.next(), end)).await?;
        after = end;
        for entry in entries {
            let taken = entry.and_then(|event| redeliveries.take(event));
            match taken {
                Ok((event, own)) => lines.write(&EventRecord::new(event, own))?,
                Err(damage) => {
                    if !skipped.is_allowed {
                        // Whole lines are written, so that `--after` can continue after them.
                        lines.flush()?;
                    }
                    skipped.count(&damage)?;
                }
            }
        }
    }
    lines.flush()?;
    store.close().await;
    Ok(skipped.end())
}

/// Count of the damaged events that are not in the export.
struct Skipped {
    is_allowed: bool,
    events: i64,
}

impl Skipped {
    fn count(&mut self, damage: &Damage) -> anyhow::Result<()> {
        if !self.is_allowed {
            return Err(Failure::failed(
                format!("{damage}; the export stops before it"),
                "--skip-damaged skips it; `subledger verify` lists all damaged events",
            ));
        }
        self.events += damage.count();
        print_message(&format!("not exported: {damage}"));
        Ok(())
    }

    fn end(&self) -> Exit {
        if self.events == 0 {
            return Exit::Done;
        }
        print_message(&format!("{} damaged events are not in this export", self.events));
        Exit::No
    }
}

/// Redeliveries of a batch of events.
struct Redeliveries {
    readable: Vec<Redelivery>,
    /// Events with a redelivery that cannot be read.
    damaged: Vec<Damage>,
}

/// Reads the redeliveries of the events between two positions, both included. If one is damaged, reads them event by
/// event.
async fn redeliveries(
    store: &Store,
    entries: &[LogEntry],
    (first, last): (Position, Position),
) -> Result<Redeliveries, StoreError> {
    let mut damaged = Vec::new();
    let readable = match store.log.redeliveries(first, last).await {
        Err(StoreError::Damaged(_) | StoreError::Corrupt(_)) => {
            let mut readable = Vec::new();
            for event in entries.iter().flatten() {
                match store.log.redeliveries(event.position, event.position).await {
                    Err(StoreError::Damaged(damage)) => damaged.push(damage),
                    found => readable.extend(found?),
                }
            }
            readable
        }
        found => found?,
    };
    Ok(Redeliveries { readable, damaged })
}

impl Redeliveries {
    /// Takes the redeliveries of an event. If one is damaged, the event counts as damaged.
    fn take(&mut self, event: LoggedEvent) -> Result<(LoggedEvent, Vec<Redelivery>), Damage> {
        if let Some(damage) = self.damaged.iter().find(|it| it.first == event.position) {
            return Err(damage.clone());
        }
        let own = self.readable.extract_if(.., |it| it.position == event.position).collect();
        Ok((event, own))
    }
}
