//! `erase`: erases the content of events from every file. Their hashes and a record of the erasure stay.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;

use super::output::{self, grouped, stdout};
use super::progress::{self, RebuildProgress};
use super::rebuild::refuse_lost_log;
use super::report::{Exit, Failure, despite_broken_pipe, print_message};
use super::{Context, signals};
use crate::erasure::{self, ErasedBytes, ErasureRequest, ErasureTargets, FindError};
use crate::ids::{AccountId, CustomerId, EventId, Scope};
use crate::projection::Logic;
use crate::projector::RebuildEvent;
use crate::store::{OpenMode, SERVER_CLEANUP_COMMANDS, Store};
use crate::time::StripeTime;

/// Greatest number of events that are listed before the confirmation.
const EVENTS_LISTED_MAX: usize = 10;
/// Time limit of the wait for each process that reads or writes a file.
const FILE_TIMEOUT: Duration = Duration::from_secs(5);
/// Hint after an unfinished erasure.
const RUN_AGAIN: &str = "run the same command again to continue";

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Ids of events, `evt_…`
    #[arg(value_name = "EVT", required_unless_present = "customers")]
    events: Vec<EventId>,

    /// Erase all events that concern this customer, `cus_…`; may be given several times
    #[arg(long = "customer", value_name = "CUS")]
    customers: Vec<CustomerId>,

    /// Name of the person who erases, for the record
    #[arg(long, value_name = "NAME", env = "USER", value_parser = NonEmptyStringValueParser::new())]
    by: String,

    /// Reason, for the record, such as the number of a request. Do not name the person here
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Erase events of this connected account, not of your own account
    #[arg(long, value_name = "ACCOUNT", default_value = "", hide_default_value = true)]
    account: String,

    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let logic = context.settings.logic()?;
    refuse_lost_log(context).await?;
    let store = context.open(OpenMode::Existing).await?;
    let scope = Scope {
        account: AccountId::new(args.account.clone()),
        livemode: context.settings.mode.livemode(),
    };
    let found = find(&store, &scope, &args).await?;
    for damage in &found.unreadable {
        print_message(&format!("not searched: {damage}"));
    }
    if found.events.is_empty() {
        print_message("the log has nothing left to erase");
    } else {
        // With --yes the erasure continues even if nobody reads the list.
        let listed = list(&found).map_err(Into::into);
        (if args.yes { despite_broken_pipe(listed) } else { listed })?;
        if !args.yes && !confirm(&args)? {
            store.close().await;
            print_message("nothing was erased");
            return Ok(Exit::No);
        }
        let request = ErasureRequest { by: args.by, reason: args.reason };
        let records = erasure::erase(&store, &found, &request, &context.clock).await?;
        let at: Vec<_> = records.iter().map(|it| it.position.to_string()).collect();
        let erased = grouped(count(&found.events));
        print_message(&format!(
            "removed the bodies of {erased} events from the log; the record of the erasure is event {}",
            at.join(", ")
        ));
        print_message("rebuilding the read model and cleaning the files");
    }
    finish(&store, &logic, context).await
}

/// Rebuilds the read model and cleans the files, until no file contains the bytes.
async fn finish(store: &Store, logic: &Logic, context: &Context) -> anyhow::Result<Exit> {
    let stop = signals::stop_token()?;
    let mut progress = RebuildProgress::new();
    let on_event = |event: RebuildEvent<'_>| match event {
        RebuildEvent::Progress(now) => progress.show(now),
        RebuildEvent::Planned(_) | RebuildEvent::Difference(_) | RebuildEvent::NotCompared(_) => {}
    };
    let clock = &context.clock;
    let finished = erasure::finish(store, logic, clock, FILE_TIMEOUT, &stop, on_event).await;
    progress.clear();
    store.close().await;
    match finished {
        Err(error) => Err(Failure::failed(
            format!("the erasure is not finished, and the bytes are still stored: {error}"),
            format!("{RUN_AGAIN}. {}", error.hint().unwrap_or_default())
                .trim_end_matches(['.', ' ']),
        )),
        Ok(ErasedBytes::HeldByReader) => Err(Failure::failed(
            "the erasure is not finished: another process reads an older state of the ledger, so the \
             write-ahead log still contains the bytes",
            format!(
                "wait until that export, backup or query has ended, or stop it; then {RUN_AGAIN}"
            ),
        )),
        Ok(ErasedBytes::Gone) => {
            print_message(
                "erased: the read model was rebuilt, and no file of the ledger contains the bytes",
            );
            Ok(Exit::Done)
        }
        Ok(ErasedBytes::OnServer) => {
            print_message("erased: the read model was rebuilt, and no query finds the events");
            print_message(
                "the files of PostgreSQL still contain old versions of the rows. Run these commands as the owner \
                 of the database to remove them (the first locks the log):",
            );
            for command in SERVER_CLEANUP_COMMANDS {
                print_message(&format!("  {command};"));
            }
            print_message(
                "the write-ahead log, replicas, archives and backups contain them until each is recycled",
            );
            Ok(Exit::Done)
        }
    }
}

async fn find(store: &Store, scope: &Scope, args: &Args) -> anyhow::Result<ErasureTargets> {
    let size = store.log.head().await?.size;
    let bar = progress::bar("searching", size.0.unsigned_abs());
    let found = erasure::find(store, scope, &args.events, &args.customers, |position| {
        bar.set_position(position.0.unsigned_abs());
    })
    .await;
    bar.finish_and_clear();
    match found {
        Ok(found) => Ok(found),
        Err(FindError::Store(error)) => Err(error.into()),
        Err(error @ FindError::OwnRecord(_)) => {
            Err(Failure::usage(error.to_string(), "it contains only ids, and must stay"))
        }
        Err(error) => {
            let mode = if scope.livemode { "live" } else { "test" };
            Err(Failure::no(
                error.to_string(),
                format!("searched in {mode} mode; --mode and --account select another"),
            ))
        }
    }
}

/// Lists the events to erase: their number and dates by type, and the first of them.
fn list(found: &ErasureTargets) -> io::Result<()> {
    let mut out = stdout();
    writeln!(out, "{} events have content to erase:", grouped(count(&found.events)))?;
    let mut types: BTreeMap<&str, Vec<StripeTime>> = BTreeMap::new();
    for event in &found.events {
        types.entry(&event.event_type).or_default().push(event.created);
    }
    let mut table = output::table(&["events", "type", "first (UTC)", "last (UTC)"]);
    for (event_type, times) in types {
        let (first, last) = (times.iter().min(), times.iter().max());
        let number = grouped(count(&times));
        output::add_row(&mut table, [number, event_type.to_owned(), day(first), day(last)]);
    }
    output::write_table(&table, &mut out)?;
    writeln!(out)?;
    let mut table = output::table(&["position", "event", "type", "date (UTC)"]);
    for event in found.events.iter().take(EVENTS_LISTED_MAX) {
        let id = event.entry.event_id.to_string();
        let at = day(Some(&event.created));
        let row = [event.position.to_string(), id, event.event_type.clone(), at];
        output::add_row(&mut table, row);
    }
    output::write_table(&table, &mut out)?;
    if found.events.len() > EVENTS_LISTED_MAX {
        writeln!(out, "and {} more", grouped(count(&found.events[EVENTS_LISTED_MAX..])))?;
    }
    if found.erased_before > 0 {
        writeln!(out, "{} more were erased before", found.erased_before)?;
    }
    out.flush()
}

/// Day of an instant, as `2026-03-01`.
fn day(at: Option<&StripeTime>) -> String {
    let text = output::cell(at);
    text.split('T').next().unwrap_or_default().to_owned()
}

fn count<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

/// Asks the user to confirm by typing the first id.
fn confirm(args: &Args) -> anyhow::Result<bool> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::usage(
            "cannot ask for confirmation: standard input is not a terminal",
            "--yes erases without asking. This cannot be undone",
        ));
    }
    let name = args
        .customers
        .first()
        .map_or_else(|| args.events.first().map_or("", EventId::as_str), CustomerId::as_str);
    print_message(&format!("This cannot be undone. Type {name} to continue:"));
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    Ok(line.trim() == name)
}
