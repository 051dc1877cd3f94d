//! `backup`: consistent copy of the log while it is in use.

use std::path::PathBuf;

use super::report::{Exit, Failure, print_message};
use super::{Context, signals};
use crate::store::OpenMode;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// File for the copy, readable by its owner only. It must not exist
    file: PathBuf,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let store = context.open(OpenMode::ReadOnly).await?;
    let stop = signals::stop_token()?;
    tokio::select! {
        copied = store.log.backup(&args.file) => copied?,
        () = stop.cancelled() => {
            return Err(Failure::failed("the backup was interrupted, and no file was created", "run it again"));
        }
    }
    store.close().await;
    print_message(&format!(
        "copied the log to {}; the read model needs no backup, because `subledger rebuild` restores it",
        args.file.display()
    ));
    Ok(Exit::Done)
}
