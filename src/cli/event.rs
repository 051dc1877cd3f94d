//! `event`: one event of the log, or its exact bytes.

use std::io::{self, IsTerminal as _, Write as _};

use super::Context;
use super::output::{self, stdout};
use super::report::{Exit, Failure};
use crate::audit;
use crate::exchange::EventRecord;
use crate::ids::{AccountId, EventId};
use crate::store::{LoggedEvent, OpenMode, Store};
use crate::view::EventView;
use crate::visible::visible_lines;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Id of the event, `evt_…`
    event: String,

    /// Write only the exact bytes that were received. On a terminal, hidden characters are shown as escapes
    #[arg(long)]
    payload: bool,

    /// Account of the event, if several accounts have this id; "" for your own
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let store = context.open(OpenMode::ReadOnly).await?;
    let id = EventId::new(args.event);
    let event = find(&store, &id, args.account, context).await?;
    let redeliveries = store.log.redeliveries(event.position, event.position).await?;
    let thin = audit::thin_link(&store.log, event.position).await?;
    store.close().await;
    let mut out = stdout();
    if !args.payload {
        let record = EventRecord::new(event, redeliveries).without_payload();
        output::write_json(&EventView { record, thin }, &mut out)?;
        return Ok(Exit::Done);
    }
    let Some(payload) = event.payload else {
        return Err(Failure::no(
            format!("the payload of {id} was erased"),
            "without --payload, the record with its hash is shown",
        ));
    };
    if io::stdout().is_terminal() {
        out.write_all(visible_lines(&payload).as_bytes())?;
    } else {
        out.write_all(payload.as_bytes())?;
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// Finds the event with this id. If both modes have it, that of the configured mode.
pub(super) async fn find(
    store: &Store,
    id: &EventId,
    account: Option<String>,
    context: &Context,
) -> anyhow::Result<LoggedEvent> {
    let account = account.map(AccountId::new);
    let mut events = store.log.event(id, account.as_ref(), None).await?;
    if events.len() > 1 {
        events.retain(|event| event.facts.scope.livemode == context.settings.mode.livemode());
    }
    match (events.pop(), events.is_empty()) {
        (Some(event), true) => Ok(event),
        (None, _) => Err(Failure::no(
            format!("the log has no event {id}"),
            "`subledger export` writes all events",
        )),
        (Some(_), false) => Err(Failure::usage(
            format!("several accounts have an event {id}"),
            "select one with --account",
        )),
    }
}
