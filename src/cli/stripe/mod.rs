//! `stripe`: checks what is set up at Stripe, and creates a webhook endpoint there.

mod check;
mod endpoint;
mod endpoint_findings;
mod finding;
mod secret_file;

use super::Context;
use super::report::Exit;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Check the API key, its permissions, the clock and the webhook endpoints
    ///
    /// Asks Stripe's API with the key of `STRIPE_API_KEY`, and changes nothing. Exit status: 1 if a check failed.
    Check(check::Args),
    /// Create a webhook endpoint
    Endpoint {
        #[command(subcommand)]
        command: EndpointCommand,
    },
}

#[derive(Debug, clap::Subcommand)]
enum EndpointCommand {
    /// Create a webhook endpoint that sends all events the ledger uses
    ///
    /// The endpoint is tagged in its metadata. If there is already such an endpoint at this URL, none is created. Stripe
    /// shows the signing secret only once: it is written to a file, or to stdout.
    Create(endpoint::Args),
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    match args.command {
        Command::Check(args) => check::run(args, context).await,
        Command::Endpoint { command: EndpointCommand::Create(args) } => {
            endpoint::run(args, context).await
        }
    }
}
