//! `log consistency`: proof that the log of one size begins with the log of a smaller size.

use std::io::Write as _;

use super::super::Context;
use super::super::output::stdout;
use super::super::report::{Exit, Failure};
use crate::audit;
use crate::config::SigningKeySettings;
use crate::store::OpenMode;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Number of events of the older checkpoint
    old: u64,

    /// Number of events of the newer checkpoint [default: all events of the log]
    new: Option<u64>,

    #[command(flatten)]
    key: SigningKeySettings,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let key = args.key.required()?;
    let store = context.open(OpenMode::ReadOnly).await?;
    let size = audit::checkpoint(&store.log).await?.size;
    let sizes = (args.old, args.new.unwrap_or(size));
    let proof = audit::prove_consistency(&store.log, sizes, &key).await;
    store.close().await;
    let Some(proof) = proof? else {
        return Err(Failure::no(
            format!(
                "a log of {size} events cannot have grown from {} to {} events",
                sizes.0, sizes.1
            ),
            "give the older size first; the second line of a checkpoint is its size",
        ));
    };
    let mut out = stdout();
    out.write_all(proof.to_text().as_bytes())?;
    out.flush()?;
    Ok(Exit::Done)
}
