//! `serve`: runs the service.

use std::time::Duration;

use super::Context;
use super::report::{Exit, Failure};
use super::{open_files, signals};
use crate::config::{
    ACCESS_TOKEN, API_TOKEN, Secrets, ServeSettings, WEBHOOK_SECRET, WebhookSecrets,
};
use crate::ids::Mode;
use crate::service::{Options, Service, StartError};
use crate::stripe_api::{ApiSettings, KeyError, RetryPolicy, STRIPE_API_KEY, SetupError};
use crate::sync::SyncOptions;

/// Policy of the requests of a sync, which is tried again at its next interval anyway.
const SYNC_RETRY: RetryPolicy = RetryPolicy {
    attempts_max: 4,
    delay_min: Duration::from_secs(1),
    delay_max: Duration::from_secs(8),
    retry_after_max: Duration::from_mins(1),
};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    settings: ServeSettings,

    #[command(flatten)]
    api: ApiSettings,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let settings = &context.settings;
    let (api, every_seconds) = (args.api, args.settings.sync_every_seconds);
    let mut options = Options {
        api_tokens: Secrets::from_env(API_TOKEN)?,
        access_tokens: Secrets::from_env(ACCESS_TOKEN)?,
        listen: args.settings.listen,
        private_listen: args.settings.private_listen,
        tolerance_seconds: args.settings.tolerance_seconds,
        mode: settings.mode,
        connections: args.settings.connections,
        logic: settings.logic()?,
        auto_rebuild: !args.settings.no_auto_rebuild,
        memory: args.settings.rebuild.memory,
        accept_new_log: args.settings.accept_new_log,
        unknown: args.settings.unknown,
        checkpoints: args.settings.checkpoints.options()?,
        clock: context.clock.clone(),
        ..Options::new(settings.database_url()?, WebhookSecrets::from_env()?)
    };
    let (sync, about_sync) = sync_options(&api, every_seconds, settings.mode);
    options.sync = sync;
    let readable = !(options.api_tokens.is_empty() && options.access_tokens.is_empty());
    let unbound = options.webhook_secrets.unbound_among_several();
    open_files::raise(options.connections, 1 + u64::from(options.private_listen.is_some()));
    let stop = signals::stop_token()?;
    let mut service = Service::start(options).await.map_err(|error| match error {
        StartError::RebuildNeeded(_) => {
            let command = format!("run `{}`", settings.command("rebuild"));
            Failure::usage(error.to_string(), command)
        }
        error => error.into(),
    })?;
    announce(&service, settings.mode, readable);
    match about_sync {
        Ok(info) => tracing::info!("{info}"),
        Err(warning) => tracing::warn!("{warning}"),
    }
    if let Some(unbound) = unbound {
        tracing::warn!(
            unbound,
            "{unbound} of several signing secrets may sign any event: anybody who knows the secret of a test or \
             Connect endpoint could write live events; put live:, test: or connect: before each in \
             {WEBHOOK_SECRET}"
        );
    }
    let failed = tokio::select! {
        () = stop.cancelled() => None,
        failed = service.failed() => Some(failed),
    };
    if let Some(failed) = failed {
        tracing::error!("{failed} ended, which is a defect: stopping; start the ledger again");
    }
    let in_order = service.stop().await;
    tracing::info!("stopped");
    Ok(if failed.is_none() && in_order { Exit::Done } else { Exit::Failed })
}

/// Syncs with the configured key, and what to log about them: an info or a warning. A key that cannot be used must not
/// stop the webhooks.
fn sync_options(
    api: &ApiSettings,
    every_seconds: u32,
    mode: Mode,
) -> (Option<SyncOptions>, Result<String, String>) {
    match api.client(mode, SYNC_RETRY) {
        Ok(client) => {
            let warning = client.key().warning();
            let info = format!("syncing with Stripe's API every {every_seconds} s");
            let every = Duration::from_secs(every_seconds.into());
            let options = SyncOptions { every, ..SyncOptions::new(client) };
            (Some(options), warning.map_or(Ok(info), Err))
        }
        Err(SetupError::Key(KeyError::Missing)) => {
            let info = format!(
                "without {STRIPE_API_KEY} the ledger does not notice when a webhook is lost: set it to sync with \
                 Stripe's API"
            );
            (None, Ok(info))
        }
        Err(error) => (None, Err(format!("not syncing with Stripe's API: {error}"))),
    }
}

fn announce(service: &Service, mode: Mode, readable: bool) {
    let address = service.address();
    tracing::info!(%address, "listening on http://{address}, webhook at /api/stripe/webhook/");
    if let Some(address) = service.private_address() {
        tracing::info!(%address, "serving the API and metrics only on http://{address}");
    }
    let signers: Vec<_> = service.app().verifier.signers().map(|it| it.to_string()).collect();
    let signers = signers.join(", ");
    tracing::info!(signers, "accepting events signed with: {signers}");
    let other = Mode::from_livemode(!mode.livemode());
    tracing::info!(
        mode = mode.as_str(),
        "only {mode} mode grants access; events of {other} mode are stored and grant none (SUBLEDGER_MODE)"
    );
    if !readable {
        tracing::warn!("/v1 refuses all requests: set {API_TOKEN} to read");
    }
}
