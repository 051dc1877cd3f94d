//! `rebuild`: the read model anew from the log, beside the live one, then swapped in.

use super::Context;
use super::report::{Exit, say};
use super::{progress, signals};
use crate::projector;
use crate::store::Opening;

#[derive(clap::Args, Debug)]
pub(super) struct Args {}

pub(super) async fn run(_: Args, context: &Context) -> anyhow::Result<Exit> {
    let logic = context.settings.logic()?;
    let store = context.open(Opening::Existing).await?;
    let stop = signals::stop_token()?;
    let bar = progress::bar("folding", 0);
    let rebuilt = projector::rebuild(&store, &logic, &context.clock, &stop, |progress| {
        bar.set_length(progress.total.unsigned_abs());
        bar.set_position(progress.done.unsigned_abs());
    })
    .await;
    bar.finish_and_clear();
    store.close().await;
    let rebuilt = rebuilt?;
    say(&format!(
        "generation {} is live: {} events folded in {:.1?}, {} parked",
        rebuilt.generation, rebuilt.position, rebuilt.elapsed, rebuilt.parked
    ));
    Ok(Exit::Done)
}
