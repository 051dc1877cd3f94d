//! Outage of the demonstration: webhooks that never arrived, the drift that they leave, and the sync that heals it.

use std::io::Write;
use std::time::Duration;

use anyhow::bail;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::catch_up;
use crate::backfill::{FoldWait, Step};
use crate::cli::coverage::write_account;
use crate::cli::reconcile::write_findings;
use crate::clock::Clock;
use crate::ids::{Mode, Scope};
use crate::lease::{HeldLease, Taken, Task};
use crate::reconcile::{Options, Report, reconcile};
use crate::simulate::serve::{self, LIVE_KEY, SimulatedStripe};
use crate::simulate::{Plan, SimulatedEvent};
use crate::store::Store;
use crate::stripe_api::{ApiClient, ApiKey, ClientOptions};
use crate::sync::ScopeSync;
use crate::time::{DAY_SECONDS, ReceivedAt, StripeTime};
use crate::view::CoverageView;

/// Days before the end of the simulation in which no webhook arrives.
const DAYS: std::ops::Range<i64> = 2..4;
/// Number of differences that are shown in detail.
const DIFFERENCES_SHOWN: usize = 2;

/// Outage of the webhooks of the own account in live mode.
pub(super) struct Outage {
    client: ApiClient,
    /// End of the simulation, as Stripe's API tells it.
    now: StripeTime,
    _stop: DropGuard,
}

impl Outage {
    /// Serves a simulated Stripe's API, which has all events of the plan.
    pub(super) async fn start(plan: &Plan) -> anyhow::Result<Self> {
        let stripe = SimulatedStripe::new(plan, serve::Options::default());
        let now = stripe.now();
        let socket = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", socket.local_addr()?).parse()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move { stripe.serve(socket, stopped).await });
        let options = ClientOptions { base, requests_per_second: None, ..ClientOptions::default() };
        let client = ApiClient::new(ApiKey::parse(LIVE_KEY)?, options)?;
        Ok(Self { client, now, _stop: stop.drop_guard() })
    }

    /// True if the webhook of the event is lost.
    pub(super) fn loses(&self, event: &SimulatedEvent) -> bool {
        let days_ago = (self.now.0 - event.created).div_euclid(DAY_SECONDS);
        event.account.is_empty() && event.livemode && DAYS.contains(&days_ago)
    }

    /// Shows what is missing and what follows from it, heals it, and shows that Stripe and the ledger agree.
    pub(super) async fn show(&self, store: &Store, out: &mut impl Write) -> anyhow::Result<()> {
        let day = |days_ago: i64| {
            let day = StripeTime(self.now.0 - days_ago * DAY_SECONDS).to_string();
            day.get(..10).unwrap_or_default().to_owned()
        };
        let (from, to) = (day(DAYS.end), day(DAYS.start));
        writeln!(out, "From {from} to {to} no webhook arrived. Compared with Stripe:\n")?;
        write_findings(&self.compare(store).await?, DIFFERENCES_SHOWN, out)?;
        writeln!(out, "\nThe service syncs with Stripe's API, and knows what it had missed:\n")?;
        self.sync(store).await?;
        let view = CoverageView::read(&store.log, Mode::Live, self.now).await?;
        if let Some(own) = view.own(Mode::Live) {
            write_account(own, out)?;
        }
        writeln!(out)?;
        write_findings(&self.compare(store).await?, DIFFERENCES_SHOWN, out)?;
        writeln!(out)?;
        Ok(())
    }

    fn clock(&self) -> Clock {
        Clock::fixed(ReceivedAt(self.now.0 * 1_000_000))
    }

    async fn compare(&self, store: &Store) -> anyhow::Result<Report> {
        let fold = FoldWait::beside_service(store);
        let mut options = Options { settle: Duration::ZERO, ..Options::new(own_account()) };
        // Webhooks cut the list of a customer's features at ten, which is no matter of the outage.
        options.steps.retain(|step| *step != Step::Entitlements);
        Ok(reconcile(store, &self.client, &fold, &options, &self.clock(), &mut |_| ()).await?)
    }

    async fn sync(&self, store: &Store) -> anyhow::Result<()> {
        let (scope, clock, log) = (own_account(), self.clock(), &store.log);
        let Taken::Held(lease) = HeldLease::take(log, &scope, Task::Sync).await? else {
            bail!("another process syncs the ledger of the demonstration");
        };
        let sync =
            ScopeSync { log, client: &self.client, scope: &scope, clock: &clock, lease: &lease };
        sync.run().await?;
        log.record_sync(&scope, clock.now()).await?;
        lease.release().await?;
        Ok(catch_up(store).await?)
    }
}

fn own_account() -> Scope {
    Scope { livemode: true, ..Scope::default() }
}
