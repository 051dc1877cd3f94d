//! Stripe's API over HTTP, with the final state of a simulation behind it.
//!
//! A [`SimulatedStripe`] holds the final objects of all lives of a plan, and renders them at the version that a
//! request asks for. Its [router](SimulatedStripe::router) answers as Stripe does: lists with their cursors, newest
//! first; events of the last thirty days; errors, limits and permissions. [`Faults`] make it fail. The same plan,
//! options and requests in the same order always give the same bytes, unless the time is [real](Passage::Real).
//!
//! | module | contents |
//! | --- | --- |
//! | `world`, `collection` | the objects, and the indexes of their lists |
//! | `gate` | what every request passes: key, limits, faults, headers |
//! | `route` | method and path → permission and function |
//! | `call`, `params`, `paging` | a request, its parameters, and the pages that answer it |
//! | `subscriptions`, `customers`, … | one family of routes each |

mod accounts;
mod call;
mod catalogue;
mod checkout_sessions;
mod collection;
mod customers;
mod entitlements;
mod error;
mod events;
mod faults;
mod gate;
mod invoices;
mod keys;
mod paging;
mod params;
mod route;
mod schedules;
mod server_time;
mod subscriptions;
mod test_clocks;
#[cfg(test)]
mod tests;
mod webhook_endpoints;
mod world;

pub use accounts::PLATFORM_ACCOUNT;
pub use faults::Faults;
pub use gate::SeenRequest;
pub use keys::{CONNECT_PERMISSION, Key};
pub use server_time::Passage;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::version::ApiVersion;
use super::wire::Format;
use super::{MAX_MONTHS, Plan, SimulatedEvent, TrueName, TruthRow, lives};
use crate::time::StripeTime;
use events::RETENTION_SECONDS;
use faults::Limits;
use server_time::ServerTime;
use webhook_endpoints::WebhookEndpoint;
use world::{Gatherer, Shelf, Shelves};

/// Key of test mode with all permissions, known by default.
pub const TEST_KEY: &str = "sk_test_simulated";
/// Key of live mode with all permissions, known by default.
pub const LIVE_KEY: &str = "sk_live_simulated";

/// Options of a simulated Stripe.
#[derive(Clone, Debug)]
pub struct Options {
    /// Keys that the server knows.
    pub keys: Vec<Key>,
    /// Version of the account, for requests that ask for none.
    pub version: ApiVersion,
    /// Time of the server at the start. `None`: the end of the plan. The few events after it are in no list yet.
    pub now: Option<StripeTime>,
    /// Passage of the server's time.
    pub passage: Passage,
    /// Age in seconds at which an event becomes visible in lists.
    pub events_visible_after_seconds: i64,
    /// Greatest further delay in seconds. Each event has its own.
    pub events_late_seconds_max: i64,
    /// Faults.
    pub faults: Faults,
    /// True to keep no expected state, and only the events of the last thirty days, for simulations that do not fit
    /// into memory otherwise.
    pub lean: bool,
}

impl Default for Options {
    /// Keys of both modes with all permissions, a time that stands still, and no faults.
    fn default() -> Self {
        Self {
            keys: vec![Key::full(TEST_KEY), Key::full(LIVE_KEY)],
            version: ApiVersion::Endive,
            now: None,
            passage: Passage::Still,
            events_visible_after_seconds: 0,
            events_late_seconds_max: 0,
            faults: Faults::default(),
            lean: false,
        }
    }
}

/// Stripe with the final state of a simulation. Clones share it.
#[derive(Clone)]
pub struct SimulatedStripe(Arc<Inner>);

struct Inner {
    shelves: Shelves,
    empty: Shelf,
    truth: Vec<TruthRow>,
    catalogue: Vec<TrueName>,
    start: StripeTime,
    format: Format,
    options: Options,
    faults: Mutex<Faults>,
    time: ServerTime,
    requests: AtomicU64,
    limits: Limits,
    endpoints: Mutex<Vec<WebhookEndpoint>>,
    journal: Mutex<Vec<SeenRequest>>,
}

/// Number of objects of each type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are named after the objects")]
pub struct Counts {
    pub events: usize,
    pub customers: usize,
    pub subscriptions: usize,
    pub invoices: usize,
    pub sessions: usize,
    pub schedules: usize,
    pub products: usize,
    pub prices: usize,
    pub test_clocks: usize,
}

impl SimulatedStripe {
    /// Simulates a plan and keeps its final state.
    pub fn new(plan: &Plan, options: Options) -> Self {
        Self::with_events(plan, options, |_| true)
    }

    /// Simulates a plan, and lists its events as `edit` leaves them: those for which it is false are in no list.
    pub fn with_events(
        plan: &Plan,
        options: Options,
        mut edit: impl FnMut(&mut SimulatedEvent) -> bool,
    ) -> Self {
        let planned = i64::from(plan.months.min(MAX_MONTHS)) * 30 * 86_400 + 43_200;
        let end = plan.start.0.saturating_add(planned);
        let since = if options.lean { end - RETENTION_SECONDS } else { i64::MIN };
        let mut gatherer = Gatherer::default();
        let (mut truth, mut catalogue) = (Vec::new(), Vec::new());
        for life in lives(plan) {
            for mut event in life.events {
                // Events without a snapshot are in a list of their own.
                if event.created >= since && !event.is_thin() && edit(&mut event) {
                    gatherer.add_event(event);
                }
            }
            if !options.lean {
                let subscriptions = life.customers.iter().flat_map(|it| &it.subscriptions);
                let by_id: BTreeMap<_, _> = subscriptions.map(|it| (it.id.as_str(), it)).collect();
                truth.extend(life.truth.into_iter().map(|mut row| {
                    if let Some(it) = by_id.get(row.subscription_id.as_str()) {
                        // The API shows them also where the events are of a version without them.
                        row.cancellation_reason = it.cancellation.reason;
                        row.paused_reason = it.paused.as_ref().map(|paused| paused.reason);
                    }
                    row
                }));
                catalogue.extend(life.catalogue);
            }
            life.customers.into_iter().for_each(|it| gatherer.add_customer(it));
            life.shop.into_iter().for_each(|it| gatherer.add_catalogue(it));
        }
        truth.sort_by(|a, b| {
            let key = |row: &TruthRow| (row.account.clone(), row.livemode);
            key(a).cmp(&key(b)).then_with(|| a.subscription_id.cmp(&b.subscription_id))
        });
        catalogue.sort();
        let now = options.now.unwrap_or(StripeTime(end));
        Self(Arc::new(Inner {
            shelves: gatherer.into_shelves(),
            empty: Shelf::default(),
            truth,
            catalogue,
            start: plan.start,
            format: plan.format,
            faults: Mutex::new(options.faults.clone()),
            time: ServerTime::new(now, options.passage),
            options,
            requests: AtomicU64::new(0),
            limits: Limits::default(),
            endpoints: Mutex::default(),
            journal: Mutex::default(),
        }))
    }

    /// Router that answers as Stripe's API.
    pub fn router(&self) -> Router {
        Router::new().fallback(gate::answer).with_state(self.clone())
    }

    /// Serves a bound socket until `stop` is cancelled.
    ///
    /// # Errors
    ///
    /// The socket fails.
    pub async fn serve(&self, socket: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
        // A client on the same machine would wait for the second part of an answer.
        let socket = socket.tap_io(|stream| drop(stream.set_nodelay(true)));
        axum::serve(socket, self.router()).with_graceful_shutdown(stop.cancelled_owned()).await
    }

    /// Expected final state of each subscription, by account, mode and id, with all that the newest version of the API
    /// shows. Empty if the server is [lean](Options::lean).
    pub fn truth(&self) -> &[TruthRow] {
        &self.0.truth
    }

    /// Final names of products and prices. Empty if the server is [lean](Options::lean).
    pub fn catalogue(&self) -> &[TrueName] {
        &self.0.catalogue
    }

    /// Ids of the connected accounts.
    pub fn connected_accounts(&self) -> impl Iterator<Item = &str> {
        let accounts = self.0.shelves.keys().map(|(account, _)| account.as_str());
        let mut last = "";
        accounts.filter(move |account| std::mem::replace(&mut last, account) != *account)
    }

    /// Number of objects of an account (empty for the platform's own) and mode.
    pub fn counts(&self, account: &str, livemode: bool) -> Counts {
        let shelf = self.shelf(account, livemode);
        Counts {
            events: shelf.events.len(),
            customers: shelf.customers.len(),
            subscriptions: shelf.subscriptions.len(),
            invoices: shelf.invoices.len(),
            sessions: shelf.sessions.len(),
            schedules: shelf.schedules.len(),
            products: shelf.products.len(),
            prices: shelf.prices.len(),
            test_clocks: shelf.clocks.len(),
        }
    }

    /// Current second of the server.
    pub fn now(&self) -> StripeTime {
        self.0.time.now()
    }

    /// Sets the time of the server.
    pub fn set_now(&self, now: StripeTime) {
        self.0.time.set(now);
    }

    /// Replaces the faults.
    pub fn set_faults(&self, faults: Faults) {
        *self.0.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Disables or enables an endpoint that was created through the API.
    pub fn set_endpoint_enabled(&self, id: &str, is_enabled: bool) {
        for endpoint in self.endpoints().iter_mut().filter(|it| it.id == id) {
            endpoint.is_enabled = is_enabled;
        }
    }

    /// Requests since the last call, the first ones if there were very many.
    pub fn take_requests(&self) -> Vec<SeenRequest> {
        std::mem::take(&mut *self.0.journal.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn shelf(&self, account: &str, livemode: bool) -> &Shelf {
        self.0.shelves.get(&(account.to_owned(), livemode)).unwrap_or(&self.0.empty)
    }

    fn endpoints(&self) -> MutexGuard<'_, Vec<WebhookEndpoint>> {
        self.0.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) -> i64 {
        self.0.start.0
    }

    fn format(&self) -> Format {
        self.0.format
    }

    fn visible_after_seconds(&self) -> i64 {
        self.0.options.events_visible_after_seconds
    }
}
