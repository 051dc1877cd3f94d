//! `erase`: what events said goes, for good; that they were, and that it was erased, stays.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::builder::NonEmptyStringValueParser;

use super::output::{grouped, stdout};
use super::progress::{self, RebuildProgress};
use super::report::{Exit, Failure, say};
use super::{Context, signals};
use crate::erasure::{self, FindError, Found, Order};
use crate::ids::{AccountId, CustomerId, EventId, Scope};
use crate::projector::Told;
use crate::store::{Opening, Store};

/// Event ids that are shown before it is asked, at most.
const SHOWN: usize = 10;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Events, `evt_…`
    #[arg(value_name = "EVT", required_unless_present = "customers")]
    events: Vec<EventId>,

    /// All that concerns a customer, `cus_…`; may be given several times
    #[arg(long = "customer", value_name = "CUS")]
    customers: Vec<CustomerId>,

    /// Who erases; it is recorded
    #[arg(long, value_name = "NAME", env = "USER", value_parser = NonEmptyStringValueParser::new())]
    by: String,

    /// Why, as the number of a request; it is recorded. Name nobody here
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// Of a connected account, instead of your own
    #[arg(long, value_name = "ACCOUNT", default_value = "", hide_default_value = true)]
    account: String,

    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let logic = context.settings.logic()?;
    let store = context.open(Opening::Existing).await?;
    let scope = Scope {
        account: AccountId::new(args.account.clone()),
        livemode: context.settings.mode.livemode(),
    };
    let found = find(&store, &scope, &args).await?;
    if found.events.is_empty() {
        say("nothing is left to erase");
    } else {
        show(&found)?;
        if !args.yes && !confirmed(&args)? {
            store.close().await;
            say("nothing was erased");
            return Ok(Exit::No);
        }
        let order = Order { by: args.by, reason: args.reason };
        let records = erasure::erase(&store, &found, &order, &context.clock).await?;
        let at: Vec<_> = records.iter().map(|it| it.position.to_string()).collect();
        let erased = grouped(count(&found.events));
        say(&format!("{erased} events are erased; the record of it stands at {}", at.join(", ")));
    }
    let stop = signals::stop_token()?;
    let mut progress = RebuildProgress::new();
    let told = |told: Told<'_>| match told {
        Told::Progress(now) => progress.show(now),
        Told::Difference(_) | Told::NotCompared(_) => {}
    };
    let renewed = erasure::renew(&store, &logic, &context.clock, &stop, told).await;
    progress.clear();
    store.close().await;
    if let Err(error) = renewed {
        return Err(Failure::failed(
            format!("the read model still says what was erased: {error}"),
            "run the same command again: it goes on where this one ended",
        ));
    }
    say("the read model was made anew without it, and every older generation is dropped");
    Ok(Exit::Done)
}

async fn find(store: &Store, scope: &Scope, args: &Args) -> anyhow::Result<Found> {
    let size = store.log.head().await?.size;
    let bar = progress::bar("looking", size.0.unsigned_abs());
    let found = erasure::find(store, scope, &args.events, &args.customers, |position| {
        bar.set_position(position.0.unsigned_abs());
    })
    .await;
    bar.finish_and_clear();
    match found {
        Ok(found) => Ok(found),
        Err(FindError::Store(error)) => Err(error.into()),
        Err(error @ FindError::OwnRecord(_)) => {
            Err(Failure::usage(error.to_string(), "it holds ids alone, and must stay"))
        }
        Err(error) => {
            let mode = if scope.livemode { "live" } else { "test" };
            Err(Failure::no(
                error.to_string(),
                format!("looked for in {mode} mode: --mode and --account choose another"),
            ))
        }
    }
}

fn show(found: &Found) -> io::Result<()> {
    let mut out = stdout();
    writeln!(out, "{} events say something that would be erased:", grouped(count(&found.events)))?;
    for (position, event) in found.positions.iter().zip(&found.events).take(SHOWN) {
        writeln!(out, "  {position:>8}  {}", event.event_id)?;
    }
    if found.events.len() > SHOWN {
        writeln!(out, "  and {} more", grouped(count(&found.events[SHOWN..])))?;
    }
    if found.erased_before > 0 {
        writeln!(out, "{} more were erased before", found.erased_before)?;
    }
    out.flush()
}

fn count<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

/// Asks a person to say once more what is to be erased.
fn confirmed(args: &Args) -> anyhow::Result<bool> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::usage(
            "nobody is there to confirm this",
            "--yes erases without asking; it cannot be undone",
        ));
    }
    let name = args
        .customers
        .first()
        .map_or_else(|| args.events.first().map_or("", EventId::as_str), CustomerId::as_str);
    say(&format!("This cannot be undone. Type {name} to go on:"));
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    Ok(line.trim() == name)
}
