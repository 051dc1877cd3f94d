//! `log checkpoint`: signed size and root of the log.

use std::io::Write as _;

use super::super::Context;
use super::super::output::stdout;
use super::super::report::Exit;
use crate::audit;
use crate::config::SigningKeySettings;
use crate::store::OpenMode;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    key: SigningKeySettings,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let key = args.key.required()?;
    let store = context.open(OpenMode::ReadOnly).await?;
    let checkpoint = audit::checkpoint(&store.log).await;
    store.close().await;
    let mut out = stdout();
    out.write_all(checkpoint?.sign(&key).as_bytes())?;
    out.flush()?;
    Ok(Exit::Done)
}
