//! `export`: the log, one line an event, in constant memory.

use super::Context;
use super::output::{LineFormat, Lines, stdout};
use super::report::Exit;
use super::sheet::CellArgs;
use crate::exchange::EventRecord;
use crate::ids::Position;
use crate::store::Opening;

/// Events that are read at once, at most.
const BATCH_EVENTS: usize = 500;
/// Bytes of payload that are read at once, about.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Write only events after this position: goes on with an export that broke off. CSV then has no header
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: i64,

    /// Output format. `import` reads JSON lines
    #[arg(long, value_enum, default_value_t = LineFormat::Jsonl)]
    format: LineFormat,

    #[command(flatten)]
    cells: CellArgs,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let store = context.open(Opening::Existing).await?;
    let is_whole = args.after == 0;
    let mut lines =
        Lines::begin((args.format, args.cells), &EventRecord::KEYS, is_whole, stdout())?;
    let mut after = Position(args.after);
    loop {
        let events = store.log.scan(after, BATCH_EVENTS, BATCH_BYTES).await?;
        let (Some(first), Some(last)) = (events.first(), events.last()) else { break };
        after = last.position;
        let mut redeliveries = store.log.redeliveries(first.position, last.position).await?;
        for event in events {
            let position = event.position;
            let own = redeliveries.extract_if(.., |it| it.position == position).collect();
            lines.write(&EventRecord::new(event, own))?;
        }
    }
    lines.flush()?;
    store.close().await;
    Ok(Exit::Done)
}
