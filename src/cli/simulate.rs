//! `simulate`: generates events of simulated subscriptions, for a file or a running server, and serves Stripe's API.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::Context;
use super::output::stdout;
use super::post::{WebhookTarget, post};
use super::progress;
use super::report::{Exit, Failure, print_message};
use super::simulate_server::{ServerArgs, StripeServer};
use crate::config::WebhookSecrets;
use crate::exchange::EventRecord;
use crate::ids::Position;
use crate::simulate::{
    ApiVersion, Delivery, Order, Plan, SimulatedEvent, TruthRow, Versions, deliver, simulate,
    thin_twin,
};
use crate::store::{EventSource, payload_hash};
use crate::stripe::envelope::Envelope;
use crate::time::{ReceivedAt, StripeTime};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Number of subscriptions
    #[arg(long, value_name = "N", default_value_t = 100)]
    subscriptions: usize,

    /// Number of months, of thirty days each
    #[arg(long, value_name = "M", default_value_t = 12)]
    months: u32,

    /// Seed of the random numbers. The same seed gives the same bytes
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,

    /// Write the events to this file as an export; - is stdout
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    #[arg(required_unless_present_any = ["to", "serve"])]
    out: Option<PathBuf>,

    /// Post the events to this webhook, signed with `STRIPE_WEBHOOK_SECRET`
    #[arg(long, value_name = "URL")]
    to: Option<String>,

    /// Number of concurrent posts
    #[arg(long, value_name = "C", default_value_t = 8, requires = "to")]
    concurrency: usize,

    /// Use a realistic order of arrival, not the order in which the events happened
    #[arg(long)]
    shuffle: bool,

    /// Share of events that are delivered again, from 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = share)]
    duplicates: f64,

    /// Share of events that are lost, from 0 to 1. Only events that a later one replaces are lost
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = share)]
    losses: f64,

    /// Send thin events, which name the event with the snapshot instead of holding it
    #[arg(long)]
    thin: bool,

    /// Use this API version for all events, such as 2020-08-27 or basil [default: several]
    #[arg(long, value_name = "V", value_parser = api_version)]
    api_version: Option<ApiVersion>,

    /// Share of the subscriptions with more items than Stripe shows inside a subscription, in percent
    #[arg(long, value_name = "P", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=100))]
    wide: u64,

    /// Write the expected final state of each subscription to this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,

    #[command(flatten)]
    server: ServerArgs,
}

/// Parses a share from 0 to 1.
pub(super) fn share(text: &str) -> Result<f64, &'static str> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or("expected a number from 0 to 1")
}

fn api_version(text: &str) -> Result<ApiVersion, String> {
    ApiVersion::parse(text).ok_or_else(|| {
        let known = ApiVersion::ALL.map(ApiVersion::as_str).join(", ");
        format!("expected one of {known}")
    })
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let plan = Plan {
        seed: args.seed,
        subscriptions: args.subscriptions,
        months: args.months,
        api_version: args.api_version.map_or(Versions::Mixed, Versions::One),
        wide_percent: args.wide,
        ..Plan::default()
    };
    let stripe = args.server.start(&plan).await?;
    if args.to.is_none() && args.out.is_none() && args.truth.is_none() {
        return serve(stripe).await;
    }
    let order = if args.shuffle { Order::Realistic } else { Order::AsHappened };
    let delivery = Delivery {
        seed: args.seed,
        order,
        duplicates: args.duplicates,
        // Without duplicates, no event is delivered twice, not even with another body.
        second_bodies: if args.duplicates > 0.0 { 0.7 } else { 0.0 },
        losses: args.losses,
    };
    let simulation = simulate(&plan);
    if let Some(path) = &args.truth {
        write_truth(path, &simulation.truth).map_err(|error| cannot_write(path, &error))?;
    }
    let mut events = deliver(simulation.events, &delivery);
    if args.thin {
        for event in &mut events {
            if let Some(twin) = thin_twin(event) {
                *event = twin;
            }
        }
    }
    if let Some(url) = args.to {
        let target = WebhookTarget {
            url,
            secrets: WebhookSecrets::from_env()?,
            concurrency: args.concurrency,
            clock: context.clock.clone(),
        };
        let bar = progress::bar("posting", events.len() as u64);
        let posted = post(&target, events, bar).await?;
        print_message(&format!(
            "posted {} events and {} duplicates",
            posted.stored, posted.duplicates
        ));
    } else if let Some(path) = args.out {
        if path == Path::new("-") {
            write_export(&events, args.seed, &mut stdout())?;
        } else {
            let write =
                || write_export(&events, args.seed, &mut BufWriter::new(File::create(&path)?));
            write().map_err(|error| cannot_write(&path, &error))?;
        }
    }
    serve(stripe).await
}

/// Serves the API, if it was asked for.
async fn serve(stripe: Option<StripeServer>) -> anyhow::Result<Exit> {
    match stripe {
        Some(stripe) => stripe.serve().await,
        None => Ok(Exit::Done),
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> anyhow::Error {
    Failure::failed(
        format!("cannot write {}: {error}", path.display()),
        "its directory must exist and be writable",
    )
}

fn write_truth(path: &Path, truth: &[TruthRow]) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    for row in truth {
        serde_json::to_writer(&mut out, row)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Writes the export that a ledger with these events would have. Salts are derived from the seed, so that the same plan
/// gives the same file.
fn write_export(events: &[SimulatedEvent], seed: u64, out: &mut impl Write) -> io::Result<()> {
    let mut last = ReceivedAt::default();
    for (position, event) in (1..).map(Position).zip(events) {
        let mut salt = [0; 16];
        let digest = Sha256::digest([seed.to_le_bytes(), position.0.to_le_bytes()].concat());
        salt.copy_from_slice(&digest[..16]);
        // Times of receipt rise, as in a ledger.
        last = ReceivedAt(event.created.saturating_mul(1_000_000).max(last.0 + 1));
        let envelope = Envelope::parse(&event.body).ok();
        let created_nanos = envelope.as_ref().map_or(0, |it| it.created_nanos);
        let api_version = envelope.and_then(|it| it.api_version);
        let record = EventRecord {
            position,
            event_id: event.id.as_str().into(),
            account: event.account.as_str().into(),
            livemode: event.livemode,
            r#type: event.event_type.clone(),
            api_version: api_version.map(String::from),
            created: StripeTime(event.created),
            created_nanos,
            received_at: last,
            source: EventSource::Import.as_str().to_owned(),
            signature: None,
            signature_salt: None,
            signature_hash: None,
            salt: Some(hex::encode(salt)),
            payload_hash: hex::encode(payload_hash(&salt, &event.body)),
            payload: Some(event.body.clone()),
            erased: false,
            redeliveries: Vec::new(),
            signed_with: None,
        };
        serde_json::to_writer(&mut *out, &record)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}
