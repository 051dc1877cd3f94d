//! `rebuild`: builds a new generation of the read model, compares it with the live one, and swaps them.

use super::Context;
use super::diff::DiffWriter;
use super::output::{Format, FormatArgs};
use super::progress::RebuildProgress;
use super::projections::export::read_model_names;
use super::report::{Exit, print_message};
use super::signals;
use crate::config::MemorySettings;
use crate::projection::read_model::PROJECTIONS;
use crate::projector::{
    self, FromLog, Listing, RebuildEvent, RebuildMode, RebuildOptions, RebuildPlan, RebuildSource,
};
use crate::store::{DatabaseUrl, OpenMode};

/// Number of examples in a summary, each of lost and of gained access.
const EXAMPLES: usize = 3;

/// Exit status: 0 whether anything changes or not.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Read model to make again, together with those whose rules differ [default: those that differ, or all if none does]
    #[arg(value_name = "NAME", value_parser = read_model_names(), conflicts_with = "from_log")]
    read_model: Option<String>,

    /// Show what would change, without replacing the live read model
    #[arg(long)]
    dry_run: bool,

    /// Accept a log that lacks events of the read model
    #[arg(long)]
    accept_new_log: bool,

    /// List the changes of at most N subscriptions, those that lose access first [default: examples in a
    /// table, otherwise all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Begin at the first event of the log, also where the rows could be made from the customers' states
    #[arg(long)]
    from_log: bool,

    #[command(flatten)]
    memory: MemorySettings,

    #[command(flatten)]
    format: FormatArgs,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let logic = context.settings.logic()?;
    if !args.accept_new_log {
        refuse_lost_log(context).await?;
    }
    // On PostgreSQL, the owner of the database creates the schemas with this command.
    let open_mode = match context.settings.database_url()? {
        DatabaseUrl::Postgres(_) => OpenMode::Create,
        DatabaseUrl::Sqlite(_) => OpenMode::Existing,
    };
    let store = context.open(open_mode).await?;
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
        // Without a live generation there is no choice, and the comparison says so.
        RebuildEvent::Planned(RebuildPlan {
            source: RebuildSource::Log(FromLog::NothingToShare),
            ..
        }) => {}
        RebuildEvent::Planned(plan) => print_message(&plan.to_string()),
        RebuildEvent::Progress(now) => progress.show(now),
        RebuildEvent::Difference(difference) => {
            progress.clear();
            diff.write(&difference);
        }
        RebuildEvent::NotCompared(error) => {
            progress.clear();
            print_message(&format!("cannot compare the new generation with the live one: {error}"));
        }
    };
    let rebuilt = projector::rebuild(
        &store,
        &logic,
        clock,
        &stop,
        RebuildOptions {
            mode,
            listing,
            memory: args.memory.memory,
            from_log: args.from_log,
            read_model: args.read_model.as_deref().and_then(find_read_model),
        },
        on_event,
    )
    .await;
    progress.clear();
    store.close().await;
    let rebuilt = rebuilt?;
    let printed = diff.finish();
    let ending = if args.dry_run { "was a dry run and was dropped" } else { "is live" };
    print_message(&format!("generation {} {ending}: {rebuilt}", rebuilt.generation));
    printed?;
    Ok(Exit::Done)
}

fn find_read_model(name: &str) -> Option<&'static str> {
    PROJECTIONS.iter().map(|projection| projection.name()).find(|it| *it == name)
}

/// Refuses to replace a read model that has events which the log lacks. It may be the only copy of them.
pub(super) async fn refuse_lost_log(context: &Context) -> anyhow::Result<()> {
    let url = context.settings.database_url()?;
    match projector::find_lost_log(&url, &context.clock).await? {
        Some(lost) => Err(lost.into()),
        None => Ok(()),
    }
}
