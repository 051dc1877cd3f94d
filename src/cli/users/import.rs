//! `users import`: links customers to users, as records of the log.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;

use super::{linked, table};
use crate::cli::Context;
use crate::cli::report::{Exit, print_message};
use crate::ids::{CustomerKey, EventId};
use crate::projection::user_link::UserLinkRecord;
use crate::store::{EventFacts, EventSource, InvalidEvent, NewEvent, OpenMode, random_bytes};
use crate::time::ReceivedAt;

/// Records in one transaction, at most.
const RECORDS_AT_ONCE: usize = 500;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// CSV file with the columns `user_id` and `customer_id`. - is standard input
    #[arg(value_name = "FILE")]
    path: PathBuf,

    /// Name of the person who imports, for the record
    #[arg(long, value_name = "NAME", env = "USER", value_parser = NonEmptyStringValueParser::new())]
    by: String,

    /// Reason, for the record, such as the number of a ticket
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let table = table::read(&args.path, context.settings.mode.livemode())?;
    let store = context.open(OpenMode::Create).await?;
    let links = linked::read(&store, &table).await?;
    let now = context.clock.now();
    let (mut linked, mut unlinked, mut known) = (0, 0, 0);
    let mut records = Vec::new();
    for (key, user_id) in table {
        let present = links.get(&key).and_then(|link| link.user_id.as_ref());
        if present == user_id.as_ref() {
            known += 1;
            continue;
        }
        *(if user_id.is_some() { &mut linked } else { &mut unlinked }) += 1;
        let (by, reason) = (args.by.clone(), args.reason.clone());
        let CustomerKey { scope: _, customer } = key.clone();
        let record = UserLinkRecord { customer, user_id, by, reason };
        records.push(event(&key, record, now)?);
        if records.len() == RECORDS_AT_ONCE {
            store.log.append(&std::mem::take(&mut records)).await?;
        }
    }
    store.log.append(&records).await?;
    let size = store.log.head().await?.size;
    store.close().await;
    print_message(&format!(
        "linked {linked} customers to users, unlinked {unlinked}, skipped {known} that the log already has; the log \
         has {size} events"
    ));
    Ok(Exit::Done)
}

/// Event of a record. Its id begins with the time, so that the later of two links of one second is the greater, and ends
/// at random, so that no event can take it beforehand.
fn event(
    key: &CustomerKey,
    record: UserLinkRecord,
    now: ReceivedAt,
) -> Result<NewEvent, InvalidEvent> {
    let id = format!("link_{:016x}{}", now.0, hex::encode(random_bytes::<8>()));
    let (event_id, created) = (EventId::new(id), now.to_stripe_time());
    let body = record.into_body(&event_id, &key.scope, created);
    let facts = EventFacts {
        scope: key.scope.clone(),
        event_id,
        event_type: UserLinkRecord::TYPE.to_owned(),
        created,
        ..EventFacts::default()
    };
    NewEvent::new(facts, EventSource::Subledger, None, body)
}
