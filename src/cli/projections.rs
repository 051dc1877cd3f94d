//! `projections`: generations of the read models, and their rows.

pub(super) mod export;

use std::io::{self, Write};

use super::Context;
use super::output::{self, Format, FormatArgs, stdout};
use super::report::{Exit, print_message};
use crate::projector::{self, GenerationView, Projections};
use crate::store::{GenerationId, OpenMode, Store};
use crate::visible::visible;

#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    /// List the generations, and the events that could not be folded
    List(FormatArgs),
    /// Write the rows of a read model, one line a row
    ///
    /// All rows are those of the live generation at one position of the log, of every account and mode. Columns and their
    /// types are those of its table, with instants as text.
    Export(export::Args),
    /// Make a complete generation live at once, and pin it
    ///
    /// A running `serve` continues with it and with the policy that is stored with it. Newer logic does not replace a
    /// pinned generation; `subledger rebuild` does. The generation that was live is kept.
    Activate {
        /// Number of the generation, as `projections list` shows it
        generation: GenerationId,
    },
    /// Remove a generation that is not live, and free its disk space
    Drop {
        /// Number of the generation, as `projections list` shows it
        generation: GenerationId,
    },
}

/// Greatest width of a line about the rules, in columns of a terminal.
const RULES_WIDTH: usize = 80;

/// Columns of the CSV.
const COLUMNS: [&str; 10] = [
    "generation",
    "status",
    "pinned",
    "fingerprint",
    "position",
    "lag_events",
    "lag_seconds",
    "parked",
    "user_keys",
    "rule_changes",
];

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let command = args.command.unwrap_or(Command::List(args.format));
    let is_read = matches!(command, Command::List(_) | Command::Export(_));
    let mode = if is_read { OpenMode::ReadOnly } else { OpenMode::Existing };
    let store = context.open(mode).await?;
    let done = match command {
        Command::List(args) => list(&store, context, args).await,
        Command::Export(args) => export::run(&store, args).await,
        Command::Activate { generation } => activate(&store, generation).await,
        Command::Drop { generation } => {
            let dropped = projector::drop_generation(&store, &context.clock, generation).await;
            dropped
                .map_err(Into::into)
                .map(|()| print_message(&format!("dropped generation {generation}")))
        }
    };
    store.close().await;
    done.map(|()| Exit::Done)
}

async fn activate(store: &Store, id: GenerationId) -> anyhow::Result<()> {
    let generation = projector::activate(store, id).await?;
    let behind = store.log.head().await?.size.0 - generation.position.0;
    print_message(&format!("generation {id} is live and pinned, {behind} events behind the log"));
    print_message(if projector::can_fold(store.read_model.projections(), &generation) {
        "`subledger serve` folds the missing events; `subledger rebuild` makes another generation live"
    } else {
        "this version of subledger does not have its logic: run a version that has it, or `subledger rebuild`"
    });
    Ok(())
}

async fn list(
    store: &Store,
    context: &Context,
    FormatArgs { format, cells }: FormatArgs,
) -> anyhow::Result<()> {
    let list = projector::list(store, context.clock.now(), None).await?;
    let mut out = stdout();
    match format {
        Format::Table => write_tables(&list, &mut out)?,
        Format::Json => output::write_json(&list, &mut out)?,
        Format::Csv => output::write_csv(&COLUMNS, &list.data, cells, &mut out)?,
    }
    Ok(())
}

fn write_tables(list: &Projections, out: &mut impl Write) -> io::Result<()> {
    let mut generations =
        output::table(&["generation", "status", "fingerprint", "position", "behind", "parked"]);
    for generation in &list.data {
        let row = [
            generation.generation.to_string(),
            format!("{}{}", generation.status, if generation.pinned { ", pinned" } else { "" }),
            generation.fingerprint.clone(),
            generation.position.to_string(),
            generation.lag_events.to_string(),
            generation.parked.to_string(),
        ];
        output::add_row(&mut generations, row);
    }
    output::write_table(&generations, out)?;
    write_rules(&list.data, out)?;
    for generation in list.data.iter().filter(|it| it.status == "building") {
        let id = generation.generation;
        match generation.rebuild {
            Some(rebuild) => writeln!(out, "\n{rebuild}")?,
            None => writeln!(
                out,
                "\ngeneration {id} is incomplete, and no process is building it: \
                 `subledger projections drop {id}` removes it"
            )?,
        }
    }
    write_shared(&list.data, out)?;
    write_parked_customers(list, out)?;
    if list.parked.is_empty() {
        return Ok(());
    }
    let mut parked = output::table(&["position", "event", "type", "reason"]);
    for event in &list.parked {
        let row = [
            event.position.to_string(),
            event.event_id.to_string(),
            event.r#type.clone(),
            event.reason.clone(),
        ];
        output::add_row(&mut parked, row);
    }
    writeln!(out)?;
    output::write_table(&parked, out)
}

/// Writes which read models a generation has left as they were.
fn write_shared(generations: &[GenerationView], out: &mut impl Write) -> io::Result<()> {
    for generation in generations {
        let shared = generation.read_models.iter().filter(|it| it.made_by != generation.generation);
        for read_model in shared {
            let (id, name, made_by) = (generation.generation, &read_model.name, read_model.made_by);
            writeln!(out, "\ngeneration {id} has {name} as generation {made_by} made it")?;
        }
    }
    Ok(())
}

/// Writes the customers whose rows cannot be made in one read model.
fn write_parked_customers(list: &Projections, out: &mut impl Write) -> io::Result<()> {
    if list.parked_customers.is_empty() {
        return Ok(());
    }
    let mut parked = output::table(&["read model", "customer", "reason"]);
    for customer in &list.parked_customers {
        let row = [
            customer.read_model.clone(),
            customer.customer_id.to_string(),
            visible(&customer.reason).to_string(),
        ];
        output::add_row(&mut parked, row);
    }
    writeln!(out)?;
    output::write_table(&parked, out)
}

/// Writes which rules of the live generation differ from the built-in ones.
fn write_rules(generations: &[GenerationView], out: &mut impl Write) -> io::Result<()> {
    let live = generations.iter().find(|it| matches!(it.status, "live" | "frozen"));
    let changes = live.and_then(|live| live.rule_changes.as_deref()).unwrap_or_default();
    if changes.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nThe rules of the live generation differ from the built-in ones:")?;
    for change in changes {
        for line in output::wrap(&visible(&change.to_string()), "  ", RULES_WIDTH) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}
