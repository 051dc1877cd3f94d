//! `simulate --serve`: Stripe's API over HTTP, with the final state of the simulation behind it.

use std::io::Write as _;
use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::output::stdout;
use super::report::{Exit, Failure, print_message};
use super::signals;
use crate::simulate::Plan;
use crate::simulate::serve::{Faults, LIVE_KEY, Options, Passage, SimulatedStripe, TEST_KEY};

#[derive(clap::Args, Debug)]
pub(super) struct ServerArgs {
    /// Serve Stripe's API on this address until a signal, such as 127.0.0.1:12111; port 0 takes a free one. The base
    /// URL is printed on stdout
    #[arg(long, value_name = "ADDRESS")]
    serve: Option<SocketAddr>,

    /// Greatest number of requests a second to the served API
    #[arg(long, value_name = "N", requires = "serve")]
    rate_limit: Option<u32>,

    /// Share of the answers of the served API that fail, each in one of three ways: 429, 5xx, cut; from 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.0, requires = "serve", value_parser = super::simulate::share)]
    faults: f64,
}

/// Simulated Stripe on a bound address.
pub(super) struct StripeServer {
    stripe: SimulatedStripe,
    socket: TcpListener,
}

impl ServerArgs {
    /// Binds the address and simulates the plan. `None`: nothing is to be served.
    pub(super) async fn start(&self, plan: &Plan) -> anyhow::Result<Option<StripeServer>> {
        let Some(address) = self.serve else { return Ok(None) };
        let socket = TcpListener::bind(address).await.map_err(|error| {
            Failure::failed(format!("cannot listen on {address}: {error}"), "choose a free address")
        })?;
        let faults = Faults {
            requests_per_second: self.rate_limit,
            refusals: self.faults / 3.0,
            server_errors: self.faults / 3.0,
            cuts: self.faults / 3.0,
            ..Faults::default()
        };
        // The expected state is written by the simulation itself.
        let options = Options { faults, passage: Passage::Real, lean: true, ..Options::default() };
        let stripe = SimulatedStripe::new(plan, options);
        Ok(Some(StripeServer { stripe, socket }))
    }
}

impl StripeServer {
    /// Prints the base URL, and serves until a signal.
    pub(super) async fn serve(self) -> anyhow::Result<Exit> {
        let stop = signals::stop_token()?;
        print_message(&format!("the API takes the keys {TEST_KEY} and {LIVE_KEY}"));
        let mut out = stdout();
        writeln!(out, "http://{}", self.socket.local_addr()?)?;
        out.flush()?;
        drop(out);
        self.stripe.serve(self.socket, stop).await?;
        Ok(Exit::Done)
    }
}
