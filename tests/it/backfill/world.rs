//! Simulated Stripe that is served, the ledger that heard some of its events, and backfills of it.

use std::collections::BTreeSet;
use std::time::Duration;

use subledger::backfill::{Backfill, BackfillError, BackfillOptions, FoldWait};
use subledger::clock::Clock;
use subledger::ids::{AccountId, Position, Scope};
use subledger::projection::Logic;
use subledger::simulate::serve::{LIVE_KEY, Options, SimulatedStripe, TEST_KEY};
use subledger::simulate::{self, Plan, SimulatedEvent};
use subledger::store::{BackfillProgress, NewEvent, Store};
use subledger::stripe::Envelope;
use subledger::stripe::observation::TYPE_PREFIX;
use subledger::stripe_api::{ApiClient, ApiKey, ClientOptions, RetryPolicy};
use subledger::time::{DAY_SECONDS, ReceivedAt, StripeTime};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::ledger::new_event;
use crate::order::Dice;

/// Simulated Stripe on a socket, and all events of its lives.
pub(crate) struct World {
    pub(crate) stripe: SimulatedStripe,
    pub(crate) events: Vec<SimulatedEvent>,
    pub(crate) start: StripeTime,
    pub(crate) base: String,
    _stop: DropGuard,
}

/// Events that a ledger did not hear.
pub(crate) struct Losses {
    /// Days before the ledger existed.
    pub(crate) days_before: i64,
    /// Days of an outage.
    pub(crate) outage: std::ops::Range<i64>,
    /// Share of other deliveries that were lost, in percent.
    pub(crate) percent: usize,
}

impl Default for Losses {
    fn default() -> Self {
        Self { days_before: 40, outage: 200..221, percent: 30 }
    }
}

impl World {
    pub(crate) async fn start(seed: u64, subscriptions: usize) -> Self {
        Self::with(Plan { seed, subscriptions, ..Plan::default() }, Options::default()).await
    }

    pub(crate) async fn with(plan: Plan, options: Options) -> Self {
        Self::of(&plan, SimulatedStripe::new(&plan, options)).await
    }

    /// Serves a simulated Stripe of a plan.
    pub(crate) async fn of(plan: &Plan, stripe: SimulatedStripe) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", socket.local_addr().unwrap());
        let stop = CancellationToken::new();
        let (served, stopped) = (stripe.clone(), stop.clone());
        tokio::spawn(async move { served.serve(socket, stopped).await });
        let events = simulate::simulate(plan).events;
        Self { stripe, events, start: plan.start, base, _stop: stop.drop_guard() }
    }

    /// Appends the events that were not lost.
    pub(crate) async fn hear(&self, store: &Store, losses: &Losses) {
        let dice = &mut Dice::new(17);
        let heard = self.events.iter().filter(|event| {
            let day = (event.created - self.start.0) / DAY_SECONDS;
            let is_lost = dice.below(100) < losses.percent;
            day >= losses.days_before && !losses.outage.contains(&day) && !is_lost
        });
        let heard: Vec<NewEvent> = heard.map(|event| new_event(&event.body)).collect();
        for some in heard.chunks(500) {
            store.log.append(some).await.unwrap();
        }
    }

    /// Account, type and bytes of every observed object in the log.
    pub(crate) async fn observed(&self, store: &Store) -> Vec<(String, String, String)> {
        let size = store.log.head().await.unwrap().size;
        let positions: Vec<Position> = (1..=size.0).map(Position).collect();
        let mut observed = Vec::new();
        for some in positions.chunks(500) {
            for entry in store.log.entries_at(some).await.unwrap() {
                let event = entry.unwrap();
                if event.facts.event_type.starts_with(TYPE_PREFIX) {
                    let body = event.payload.unwrap();
                    let object = Envelope::parse(&body).unwrap().object.unwrap().get().to_owned();
                    let account = event.facts.scope.account.into_string();
                    observed.push((account, event.facts.event_type, object));
                }
            }
        }
        observed
    }

    /// Ids of the customers that a list shows without its test clock being named.
    pub(crate) async fn shown_customers(&self) -> BTreeSet<String> {
        let mut shown = BTreeSet::new();
        for scope in self.scopes() {
            let (client, mut after) = (self.client(scope.livemode), None::<String>);
            loop {
                let account = Some(&scope.account);
                let page = client.list_page("/v1/customers", &[], after.as_deref(), account).await;
                let page = page.unwrap();
                shown.extend(page.ids());
                if !page.has_more {
                    break;
                }
                after = page.last_id;
            }
        }
        shown
    }

    pub(crate) fn client(&self, livemode: bool) -> ApiClient {
        self.client_with(if livemode { LIVE_KEY } else { TEST_KEY }, 20)
    }

    /// Client with this key, which sends each request so many times at most.
    pub(crate) fn client_with(&self, key: &str, attempts_max: usize) -> ApiClient {
        let delay = Duration::from_millis(1);
        let retry = RetryPolicy {
            attempts_max,
            delay_min: delay,
            delay_max: delay,
            retry_after_max: delay,
        };
        let options = ClientOptions {
            base: self.base.parse().unwrap(),
            requests_per_second: None,
            retry,
            ..ClientOptions::default()
        };
        ApiClient::new(ApiKey::parse(key).unwrap(), options).unwrap()
    }

    /// Own and connected accounts, in both modes.
    pub(crate) fn scopes(&self) -> Vec<Scope> {
        let accounts = std::iter::once("").chain(self.stripe.connected_accounts());
        let mut accounts: Vec<&str> = accounts.collect();
        accounts.dedup();
        let scopes = accounts.into_iter().flat_map(|account| {
            [true, false].map(|livemode| Scope { account: AccountId::new(account), livemode })
        });
        scopes.collect()
    }

    pub(crate) fn clock(&self) -> Clock {
        Clock::fixed(ReceivedAt(self.stripe.now().0 * 1_000_000))
    }

    /// Backfills all accounts and modes.
    pub(crate) async fn backfill_all(&self, store: &Store) -> Vec<BackfillProgress> {
        let mut all = Vec::new();
        for scope in self.scopes() {
            all.extend(self.backfill(store, &scope, &mut |_| ()).await.unwrap());
        }
        all
    }

    pub(crate) async fn backfill(
        &self,
        store: &Store,
        scope: &Scope,
        report: &mut (dyn FnMut(&BackfillProgress) + Send),
    ) -> Result<Vec<BackfillProgress>, BackfillError> {
        let (client, clock) = (self.client(scope.livemode), self.clock());
        let fold = FoldWait::start(store, Logic::default(), Clock::System).await?;
        let invoices_since = StripeTime(self.stripe.now().0 - 396 * DAY_SECONDS);
        let options = BackfillOptions { scope: scope.clone(), invoices_since };
        fold.caught_up().await?;
        let mut backfill = Backfill::new(store, &client, &fold, options, clock);
        let mut done = Vec::new();
        for (step, progress) in backfill.pending().await? {
            done.push(backfill.run(step, progress, report).await?);
        }
        fold.caught_up().await?;
        fold.stop().await;
        Ok(done)
    }
}
