//! `rebuild`: the read model anew from the log, beside the live one, and then in its place.

use super::Context;
use super::diff::DiffWriter;
use super::output::{Format, FormatArgs, grouped};
use super::progress::RebuildProgress;
use super::report::{Exit, say};
use super::signals;
use crate::projector::{self, Listing, RebuildEvent, RebuildMode, RebuildOptions};
use crate::store::{DatabaseUrl, OpenMode};

/// Subscriptions that a summary shows of those that lose access, and of those that gain it.
const EXAMPLES: usize = 3;

/// Ends with 0 whether anything changes or not.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Show what would change, and leave the live read model as it is
    #[arg(long)]
    dry_run: bool,

    /// Rebuild although the read model was made from events that the log does not hold
    #[arg(long)]
    accept_new_log: bool,

    /// List the changes of at most N subscriptions, those that lose access first [default: examples in a
    /// table, otherwise all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    #[command(flatten)]
    format: FormatArgs,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let logic = context.settings.logic()?;
    if !args.accept_new_log {
        refuse_lost_log(context).await?;
    }
    // Whoever owns a database of PostgreSQL's makes the schemas with this.
    let opening = match context.settings.database_url()? {
        DatabaseUrl::Postgres(_) => OpenMode::Create,
        DatabaseUrl::Sqlite(_) => OpenMode::Existing,
    };
    let store = context.open(opening).await?;
    let stop = signals::stop_token()?;
    let format = args.format.format;
    let listing = match (args.limit, format) {
        (Some(limit), _) => Listing::First(limit),
        (None, Format::Table) => Listing::Examples(EXAMPLES),
        (None, Format::Json | Format::Csv) => Listing::First(usize::MAX),
    };
    let mode = if args.dry_run { RebuildMode::DryRun } else { RebuildMode::Swap };
    let mut progress = RebuildProgress::new();
    let mut diff = DiffWriter::new(args.format, listing);
    let clock = &context.clock;
    let on_event = |event: RebuildEvent<'_>| match event {
        RebuildEvent::Progress(now) => progress.show(now),
        RebuildEvent::Difference(difference) => {
            progress.clear();
            diff.write(&difference);
        }
        RebuildEvent::NotCompared(error) => {
            progress.clear();
            say(&format!("the new generation could not be compared with the live one: {error}"));
        }
    };
    let rebuilt = projector::rebuild(
        &store,
        &logic,
        clock,
        &stop,
        RebuildOptions { mode, listing },
        on_event,
    )
    .await;
    progress.clear();
    store.close().await;
    let rebuilt = rebuilt?;
    let printed = diff.finish();
    let ending = if args.dry_run { "was a dry run and is dropped" } else { "is live" };
    say(&format!(
        "generation {} {ending}: {} events folded in {:.1?}, {} parked",
        rebuilt.generation,
        grouped(rebuilt.position.0),
        rebuilt.elapsed,
        rebuilt.parked
    ));
    printed?;
    Ok(Exit::Done)
}

/// Refuses to replace a read model that knows events which the log does not hold: it may be all that is left.
pub(super) async fn refuse_lost_log(context: &Context) -> anyhow::Result<()> {
    let url = context.settings.database_url()?;
    match projector::find_lost_log(&url, &context.clock).await? {
        Some(lost) => Err(lost.into()),
        None => Ok(()),
    }
}
