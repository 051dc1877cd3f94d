//! `users`: users of the application, as its own table knows them.

mod import;
mod linked;
mod table;

use super::Context;
use super::report::Exit;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Link customers to your users, from a CSV file of your own table
    ///
    /// The file has a header with the columns `user_id` and `customer_id`, in any order, and may have a column `account` for
    /// connected accounts. Other columns are ignored. A link counts where nothing of Stripe's names a user, and a later
    /// one replaces it. An empty `user_id` removes the link. The log records each link with its time, author and reason.
    /// Links that are the same already append nothing. A file with a wrong row changes nothing. Exit status: 2 if the
    /// file is wrong.
    Import(import::Args),
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    match args.command {
        Command::Import(args) => import::run(args, context).await,
    }
}
