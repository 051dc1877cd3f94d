//! `projections`: the generations of the read model.

use super::Context;
use super::output::{self, Format, FormatArgs, stdout};
use super::report::Exit;
use crate::projector::{self, Projections};
use crate::store::Opening;

#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Clone, Copy, Debug, clap::Subcommand)]
enum Command {
    /// List the generations, and what could not be folded
    List(FormatArgs),
}

/// The columns of the CSV.
const COLUMNS: [&str; 7] =
    ["generation", "status", "fingerprint", "position", "lag_events", "lag_seconds", "parked"];

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let Command::List(FormatArgs { format }) = args.command.unwrap_or(Command::List(args.format));
    let store = context.open(Opening::Existing).await?;
    let list = projector::list(&store, context.clock.now()).await?;
    store.close().await;
    let mut out = stdout();
    match format {
        Format::Table => write_tables(&list, &mut out)?,
        Format::Json => output::write_json(&list, &mut out)?,
        Format::Csv => output::write_csv(&COLUMNS, &list.data, &mut out)?,
    }
    Ok(Exit::Done)
}

fn write_tables(list: &Projections, out: &mut impl std::io::Write) -> std::io::Result<()> {
    let mut generations =
        output::table(&["generation", "status", "fingerprint", "position", "behind", "parked"]);
    for generation in &list.data {
        generations.add_row([
            generation.generation.to_string(),
            generation.status.to_owned(),
            generation.fingerprint.clone(),
            generation.position.to_string(),
            generation.lag_events.to_string(),
            generation.parked.to_string(),
        ]);
    }
    output::write_table(&generations, out)?;
    if list.parked.is_empty() {
        return Ok(());
    }
    let mut parked = output::table(&["position", "event", "type", "could not be folded because"]);
    for event in &list.parked {
        parked.add_row([
            event.position.to_string(),
            event.event_id.to_string(),
            event.r#type.clone(),
            event.reason.clone(),
        ]);
    }
    writeln!(out)?;
    output::write_table(&parked, out)
}
