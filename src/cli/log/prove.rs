//! `log prove`: proof that an event is in the log, with a new checkpoint.

use std::io::Write as _;

use super::super::output::stdout;
use super::super::report::Exit;
use super::super::{Context, event};
use crate::audit;
use crate::config::SigningKeySettings;
use crate::ids::EventId;
use crate::store::OpenMode;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Id of the event, `evt_…`
    event: String,

    /// Account of the event, if several accounts have this id; "" for your own
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,

    #[command(flatten)]
    key: SigningKeySettings,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let key = args.key.required()?;
    let store = context.open(OpenMode::ReadOnly).await?;
    let id = EventId::new(args.event);
    let event = event::find(&store, &id, args.account, context).await?;
    let proof = audit::prove_inclusion(&store.log, event.position, &key).await;
    store.close().await;
    let mut out = stdout();
    out.write_all(proof?.to_text().as_bytes())?;
    out.flush()?;
    Ok(Exit::Done)
}
