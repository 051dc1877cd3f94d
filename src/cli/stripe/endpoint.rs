//! `stripe endpoint create`: creates a webhook endpoint, unless there is one.

use std::io::{self, Write as _};
use std::path::PathBuf;

use secrecy::ExposeSecret as _;
use url::Url;

use super::super::Context;
use super::super::output::stdout;
use super::super::report::{Exit, Failure, print_message};
use super::secret_file::SecretFile;
use crate::stripe::USED_TYPES;
use crate::stripe_api::{
    API_VERSION, ApiClient, ApiSettings, CreatedEndpoint, Endpoint, NewEndpoint, RetryPolicy,
};

/// Metadata of those that send the events of connected accounts. Stripe does not show that.
const CONNECT_TAG: (&str, &str) = ("subledger_connect", "1");

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Address of the webhook, as Stripe reaches it: `https://your.host/api/stripe/webhook/`
    #[arg(long, value_name = "URL", value_parser = webhook_url)]
    url: String,

    /// Send the events of connected accounts instead of your own
    #[arg(long)]
    connect: bool,

    /// New file for the signing secret, readable by its owner only [default: stdout]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// Description of the endpoint in Stripe's Dashboard
    #[arg(long, value_name = "TEXT", default_value = "Subledger")]
    description: String,

    #[command(flatten)]
    api: ApiSettings,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let mode = context.settings.mode;
    if mode.livemode() && !args.url.starts_with("https:") {
        return Err(Failure::usage(
            "Stripe posts live events to https only",
            "put a proxy that does TLS before `serve`, and pass its address",
        ));
    }
    let client = args.api.client(mode, RetryPolicy::IMPATIENT)?;
    let endpoints = client.endpoints().await?;
    let (tagged, untagged): (Vec<_>, Vec<_>) = endpoints
        .into_iter()
        .filter(|it| it.is_enabled() && it.is_at(&args.url))
        .partition(|it| it.is_tagged() && is_of_connect(it) == args.connect);
    if let Some(existing) = tagged.first() {
        print_message(&format!(
            "there is already an endpoint at {}: {}. Stripe showed its secret only when it was created",
            existing.url, existing.id
        ));
        print_message("hint: to get a new secret, roll it in the Dashboard (Developers, Webhooks)");
        return Ok(Exit::Done);
    }
    if let Some(other) = untagged.iter().find(|it| !it.is_tagged()) {
        print_message(&format!(
            "{} posts to this address too: its events arrive twice, and are stored once",
            other.id
        ));
    }
    create(&args, &client).await
}

async fn create(args: &Args, client: &ApiClient) -> anyhow::Result<Exit> {
    let mut metadata = vec![Endpoint::TAG];
    metadata.extend(args.connect.then_some(CONNECT_TAG));
    let new = NewEndpoint {
        url: &args.url,
        event_types: &USED_TYPES,
        is_connect: args.connect,
        description: Some(&args.description),
        metadata: &metadata,
    };
    // Before the endpoint, because its secret is shown once and must find its place.
    let file = match &args.secret_file {
        Some(path) => Some(SecretFile::create(path).map_err(|error| {
            let message = format!("cannot write {}: {error}", path.display());
            Failure::usage(message, "choose a file that does not exist with --secret-file")
        })?),
        None => None,
    };
    let created = match client.create_endpoint(&new, &idempotency_key()?).await {
        Ok(created) => created,
        Err(error) => {
            if let Some(file) = file {
                file.remove();
            }
            return Err(error.into());
        }
    };
    let CreatedEndpoint { id, secret } = created;
    print_message(&format!(
        "created {id} at {}: {} types of events, API version {API_VERSION}",
        args.url,
        USED_TYPES.len()
    ));
    let is_in_file = match file.map(|it| it.write(&secret, &id)) {
        None => false,
        Some(Ok(())) => true,
        Some(Err(error)) => {
            print_message(&format!("warning: cannot write the file of the secret: {error}"));
            false
        }
    };
    match &args.secret_file {
        Some(path) if is_in_file => print_message(&format!(
            "its signing secret is in {}: set STRIPE_WEBHOOK_SECRET_FILE to it",
            path.display()
        )),
        _ => {
            print_message("its signing secret, which Stripe shows only now:");
            let mut out = stdout();
            writeln!(out, "{}", secret.expose_secret())?;
            out.flush()?;
        }
    }
    Ok(Exit::Done)
}

fn is_of_connect(endpoint: &Endpoint) -> bool {
    endpoint.metadata.get(CONNECT_TAG.0).is_some_and(|it| it == CONNECT_TAG.1)
}

/// New key, which all attempts of this run share.
fn idempotency_key() -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(io::Error::from)?;
    Ok(format!("subledger-{}", hex::encode(bytes)))
}

/// Parses the address of a webhook.
fn webhook_url(text: &str) -> Result<String, &'static str> {
    let url = Url::parse(text).ok();
    let is_address = |it: &Url| matches!(it.scheme(), "https" | "http") && it.has_host();
    match url.filter(is_address) {
        Some(_) => Ok(text.to_owned()),
        None => Err("expected a URL such as https://your.host/api/stripe/webhook/"),
    }
}
