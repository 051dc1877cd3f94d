//! Running service: store, ingest, projector, sync, publisher and listeners, started and stopped in the right order.

mod bound_socket;
mod task;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::backfill::watch_thin_events;
use crate::clock::Clock;
use crate::config::{ConnectionLimits, DEFAULT_LISTEN, Secrets, UnknownUser, WebhookSecrets};
use crate::http::{
    self, AppState, BodyBudget, CoverageWatch, Listener, ListenerRole, OneTimeWarnings, Tokens,
};
use crate::ids::Mode;
use crate::ingest::{Ingest, Limits};
use crate::projection::Logic;
use crate::projector::{self, LogLost, MemoryLimit, Projector, RebuildReason};
use crate::publisher::{CheckpointOptions, PublishError, Publisher};
use crate::reconcile::{CHECK_EVERY, start_daily};
use crate::store::{DatabaseUrl, Log, OpenMode, Store, StoreError};
use crate::stripe::signature::{DEFAULT_TOLERANCE_SECONDS, Verifier};
use crate::sync::{self, SyncHandle, SyncOptions};
use bound_socket::BoundSocket;
use task::Task;

/// Time limit of the shutdown, whatever hangs.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Part of that time in which requests may end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(7);
/// Interval between two checks of the tasks.
const WATCH_EVERY: Duration = Duration::from_millis(100);

/// Options of a service.
#[derive(Clone, Debug)]
pub struct Options {
    /// Database of the ledger.
    pub database: DatabaseUrl,
    /// Signing secrets of the webhook endpoints.
    pub webhook_secrets: WebhookSecrets,
    /// Tokens that may read everything.
    pub api_tokens: Secrets,
    /// Tokens that may only ask for one user's access.
    pub access_tokens: Secrets,
    /// Address to listen on.
    pub listen: String,
    /// Second address, for the API and metrics.
    pub private_listen: Option<String>,
    /// Greatest age, and greatest lead, of a signature.
    pub tolerance_seconds: u32,
    /// Mode of requests that name none.
    pub mode: Mode,
    /// Limits of the queue before the log, and of one commit.
    pub limits: Limits,
    /// Limits on connections.
    pub connections: ConnectionLimits,
    /// Logic that turns events into rows.
    pub logic: Logic,
    /// True if a read model of other logic is rebuilt without asking.
    pub auto_rebuild: bool,
    /// Limit on the memory of such a rebuild.
    pub memory: MemoryLimit,
    /// True if a log that lacks events of the read model is accepted as a new one.
    pub accept_new_log: bool,
    /// Answer about users whom the ledger does not know.
    pub unknown: UnknownUser,
    /// Signing and publication of checkpoints; none without a key.
    pub checkpoints: Option<CheckpointOptions>,
    /// Syncs with Stripe's API; none without a key.
    pub sync: Option<SyncOptions>,
    /// Clock of the service.
    pub clock: Clock,
}

impl Options {
    /// Options with these secrets and no tokens; everything else is the default of `subledger serve`.
    pub fn new(database: DatabaseUrl, webhook_secrets: WebhookSecrets) -> Self {
        Self {
            database,
            webhook_secrets,
            api_tokens: Secrets::default(),
            access_tokens: Secrets::default(),
            listen: DEFAULT_LISTEN.to_owned(),
            private_listen: None,
            tolerance_seconds: DEFAULT_TOLERANCE_SECONDS,
            mode: Mode::default(),
            limits: Limits::default(),
            connections: ConnectionLimits::default(),
            logic: Logic::default(),
            auto_rebuild: true,
            memory: MemoryLimit::DEFAULT,
            accept_new_log: false,
            unknown: UnknownUser::default(),
            checkpoints: None,
            sync: None,
            clock: Clock::System,
        }
    }
}

/// Error that prevents the start of a service.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The ledger cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The read model must be rebuilt, and automatic rebuilds are off.
    #[error("{0}, and automatic rebuilds are off")]
    RebuildNeeded(RebuildReason),
    /// The read model has events that the log lacks.
    #[error(transparent)]
    LogLost(#[from] LogLost),
    /// Checkpoints cannot be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// An address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Address.
        address: String,
        /// Error of the system.
        source: io::Error,
    },
}

/// Running service.
pub struct Service {
    app: Arc<AppState>,
    projector: Projector,
    writer: Task,
    /// Tasks that store hashes for proofs, publish checkpoints, and watch thin events.
    finite_tasks: Vec<Task>,
    /// Watch of the coverage, and the sync.
    watches: Vec<Task>,
    publishing: CancellationToken,
    stop: CancellationToken,
    listeners: Vec<Task>,
    address: SocketAddr,
    private_address: Option<SocketAddr>,
}

impl Service {
    /// Binds the addresses, opens the ledger, and starts to answer.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let lost = projector::find_lost_log(&options.database, &options.clock).await?;
        if let Some(lost) = &lost
            && !options.accept_new_log
        {
            return Err(lost.clone().into());
        }
        if !options.auto_rebuild {
            let Options { database, logic, clock, .. } = &options;
            if let Some(reason) = projector::find_rebuild_reason(database, logic, clock).await? {
                return Err(StartError::RebuildNeeded(reason));
            }
        }
        // Bound before any file is created: an address that is taken must leave nothing behind.
        let public = BoundSocket::bind(&options.listen).await?;
        let private = match &options.private_listen {
            Some(address) => Some(BoundSocket::bind(address).await?),
            None => None,
        };
        let (signing_key, publish) = match options.checkpoints {
            Some(CheckpointOptions { key, publish }) => (Some(key), publish),
            None => (None, None),
        };
        let publisher = match (&signing_key, publish) {
            (Some(key), Some(publish)) => Some(Publisher::new(key.clone(), publish)?),
            _ => None,
        };
        let (address, private_address) = (public.address, private.as_ref().map(|it| it.address));
        let store = Store::open(&options.database, OpenMode::Create, options.clock.clone()).await?;
        if let Some(lost) = lost {
            tracing::warn!(
                "{lost}; dropping the read model, because the log was accepted as a new one"
            );
            store.read_model.generations_clear().await?;
        }
        warn_of_open_files(&store);
        let (ingest, writer) = Ingest::start(store.log.clone(), options.limits);
        let (memory, clock) = (options.memory, options.clock.clone());
        let projector = Projector::start_within(memory, store.clone(), options.logic, clock);
        let (stop, publishing) = (CancellationToken::new(), CancellationToken::new());
        let filler = tokio::spawn(fill_nodes(store.log.clone(), stop.clone()));
        let mut finite_tasks = vec![Task::finite("the filler of the log's tree", filler)];
        if let Some(publisher) = publisher {
            let publisher = publisher.start(store.log.clone(), publishing.clone());
            finite_tasks.push(Task::finite("the publisher of checkpoints", publisher));
        }
        let coverage = Arc::new(CoverageWatch::new(store.log.clone()));
        let client = options.sync.as_ref().map(|it| it.client.clone());
        let clock = &options.clock;
        let (thin, watch) = watch_thin_events(store.clone(), client, clock.clone(), stop.clone());
        finite_tasks.push(Task::finite("the watch of thin events", watch));
        let watch = tokio::spawn(Arc::clone(&coverage).run(stop.clone()));
        let mut watches = vec![Task::permanent("the watch of the coverage", watch)];
        let sync = options.sync.map(|it| start_syncs(&store, it, clock, &stop, &mut watches));
        let tolerance = Some(options.tolerance_seconds);
        let app = Arc::new(AppState {
            access: store.read_model.access_groups(),
            store,
            ingest,
            projector: projector.handle(),
            sync,
            verifier: Verifier::bound(options.webhook_secrets.expose(), tolerance),
            tokens: Tokens::new(&options.api_tokens, &options.access_tokens),
            signing_key,
            mode: options.mode,
            clock: options.clock,
            metrics: Arc::default(),
            one_time_warnings: OneTimeWarnings::default(),
            thin,
            body_budget: BodyBudget::default(),
            question_budget: BodyBudget::default(),
            coverage,
            unknown: options.unknown,
        });
        let mut listeners = Vec::new();
        let mut serve = |socket: BoundSocket, role| {
            let router = http::router(Arc::clone(&app), role);
            let metrics = Arc::clone(&app.metrics);
            let listener = Listener::new(socket.socket, router, metrics, options.connections);
            let listener = tokio::spawn(listener.serve(stop.clone()));
            listeners.push(Task::permanent("a listener", listener));
        };
        let loopback = address.ip().to_canonical().is_loopback();
        let combined = ListenerRole::Combined { loopback };
        serve(public, if private.is_some() { ListenerRole::Public } else { combined });
        if let Some(private) = private {
            serve(private, ListenerRole::Private);
        }
        Ok(Self {
            app,
            projector,
            writer: Task::permanent("the writer of the log", writer),
            finite_tasks,
            watches,
            publishing,
            stop,
            listeners,
            address,
            private_address,
        })
    }

    /// Address of the listener, with the port that the system chose if 0 was given.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Address of the private listener, if there is one.
    pub fn private_address(&self) -> Option<SocketAddr> {
        self.private_address
    }

    /// State that all endpoints share.
    pub fn app(&self) -> &Arc<AppState> {
        &self.app
    }

    /// Waits until a task ends that should run, and returns its name. The service must then be stopped: it might answer
    /// requests without storing events.
    pub async fn failed(&mut self) -> &'static str {
        loop {
            if self.projector.has_failed() {
                return "the follower of the log";
            }
            let tasks =
                self.listeners.iter_mut().chain(&mut self.finite_tasks).chain(&mut self.watches);
            for task in tasks.chain([&mut self.writer]) {
                if task.has_failed().await {
                    return task.name();
                }
            }
            tokio::time::sleep(WATCH_EVERY).await;
        }
    }

    /// Shuts down in order: stops accepting connections, answers the received events after their commit, finishes the
    /// follower's batch, and closes the files. False if something hung and was abandoned; every answered event is
    /// stored all the same.
    pub async fn stop(self) -> bool {
        let stopped = tokio::time::timeout(STOP_TIMEOUT, self.stop_in_order()).await;
        if stopped.is_err() {
            tracing::error!(
                "could not close the ledger within {} seconds: a database or a disk does not respond",
                STOP_TIMEOUT.as_secs()
            );
        }
        stopped.is_ok()
    }

    async fn stop_in_order(mut self) {
        self.stop.cancel();
        let drained = async {
            for listener in &mut self.listeners {
                listener.join().await;
            }
        };
        if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            tracing::warn!(
                "some requests did not end within {} seconds and are aborted",
                DRAIN_TIMEOUT.as_secs()
            );
        }
        for task in &mut self.watches {
            task.join().await;
        }
        self.app.ingest.close();
        self.writer.join().await;
        self.projector.stop().await;
        // After the last append, so that the last checkpoint covers the whole log.
        self.publishing.cancel();
        for task in &mut self.finite_tasks {
            task.join().await;
        }
        self.app.store.close().await;
    }
}

/// Warns of files of the ledger that every user of this machine can read.
fn warn_of_open_files(store: &Store) {
    let open = store.files_readable_by_all();
    let open: Vec<_> = open.iter().map(|it| it.display().to_string()).collect();
    if !open.is_empty() {
        let open = open.join(" ");
        tracing::warn!(open, "every user of this machine can read {open}: run `chmod 600 {open}`");
    }
}

/// Starts the syncs with Stripe's API, and the daily reconciliation.
fn start_syncs(
    store: &Store,
    options: SyncOptions,
    clock: &Clock,
    stop: &CancellationToken,
    tasks: &mut Vec<Task>,
) -> SyncHandle {
    let client = options.client.clone();
    let (handle, sync) = sync::start(store.log.clone(), options, clock.clone(), stop.clone());
    let daily = start_daily(store.clone(), client, clock.clone(), CHECK_EVERY, stop.clone());
    tasks.push(Task::permanent("the sync with Stripe's API", sync));
    tasks.push(Task::permanent("the daily reconciliation", daily));
    handle
}

/// Stores the hashes that make proofs fast, for events that an older version appended. Proofs work without them.
async fn fill_nodes(log: Log, stop: CancellationToken) {
    let filled = tokio::select! {
        filled = log.fill_nodes() => filled,
        () = stop.cancelled() => return,
    };
    match filled {
        Ok(0) => {}
        Ok(filled) => tracing::info!(filled, "stored {filled} hashes of the log's tree"),
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "could not store hashes of the log's tree, so proofs take longer: {error}"
        ),
    }
}
