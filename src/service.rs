//! The running whole: a ledger, the way in, the follower, the listeners; started and stopped in
//! the right order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Mode, Secrets, WebhookSecrets};
use crate::http::{self, App, Face, Listener, Notices, Tokens};
use crate::ingest::{Ingest, Limits};
use crate::projection::Logic;
use crate::projector::{self, Projector, Reason};
use crate::publisher::{PublishError, Publisher, Signing};
use crate::store::{DatabaseUrl, Log, Opening, Store, StoreError};
use crate::stripe::signature::Verifier;

/// How long requests may take to end once the service is asked to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// What a service is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The ledger.
    pub database: DatabaseUrl,
    /// The signing secrets of the endpoints.
    pub webhook_secrets: WebhookSecrets,
    /// Tokens that may read everything.
    pub api_tokens: Secrets,
    /// Tokens that may only ask for one user's access.
    pub access_tokens: Secrets,
    /// The address to listen on.
    pub listen: String,
    /// A second address for the API and metrics.
    pub private_listen: Option<String>,
    /// The greatest age, and the greatest lead, of a signature.
    pub tolerance_seconds: u32,
    /// Which mode is meant where none is named.
    pub mode: Mode,
    /// How much may wait to be stored.
    pub limits: Limits,
    /// What turns events into rows.
    pub logic: Logic,
    /// Whether the read model is made anew without asking where it was made by other logic.
    pub auto_rebuild: bool,
    /// What signs checkpoints of the log, and whether they are published; none where nothing does.
    pub signing: Option<Signing>,
    /// Where the time comes from.
    pub clock: Clock,
}

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The ledger.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The read model has to be made anew, and that is not to happen by itself.
    #[error("{0}, and it is not to be made anew by itself")]
    RebuildNeeded(Reason),
    /// The checkpoints.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// An address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: String,
        /// The reason that the system gave.
        source: io::Error,
    },
}

/// A service that is running.
pub struct Service {
    app: Arc<App>,
    projector: Projector,
    writer: JoinHandle<()>,
    filler: JoinHandle<()>,
    publisher: Option<JoinHandle<()>>,
    publishing: CancellationToken,
    stop: CancellationToken,
    listeners: JoinSet<()>,
    address: SocketAddr,
    private_address: Option<SocketAddr>,
}

impl Service {
    /// Binds the addresses, opens the ledger, and begins to answer.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        if !options.auto_rebuild {
            let Options { database, logic, clock, .. } = &options;
            if let Some(reason) = projector::reason_to_ask(database, logic, clock).await? {
                return Err(StartError::RebuildNeeded(reason));
            }
        }
        // Before anything is made: an address that is taken should leave nothing behind.
        let public = Socket::bind(&options.listen).await?;
        let private = match &options.private_listen {
            Some(address) => Some(Socket::bind(address).await?),
            None => None,
        };
        let (signing_key, publishing) = match options.signing {
            Some(Signing { key, publishing }) => (Some(key), publishing),
            None => (None, None),
        };
        let publisher = match (&signing_key, publishing) {
            (Some(key), Some(publishing)) => Some(Publisher::new(key.clone(), publishing)?),
            _ => None,
        };
        let (address, private_address) = (public.address, private.as_ref().map(|it| it.address));
        let store = Store::open(&options.database, Opening::Create, options.clock.clone()).await?;
        for path in store.files_readable_by_all() {
            let path = path.display();
            tracing::warn!(%path, "every user of this machine can read {path}: run `chmod 600 {path}`");
        }
        let (ingest, writer) = Ingest::start(store.log.clone(), options.limits);
        let projector = Projector::start(store.clone(), options.logic, options.clock.clone());
        let (stop, publishing) = (CancellationToken::new(), CancellationToken::new());
        let filler = tokio::spawn(fill_nodes(store.log.clone(), stop.clone()));
        let publisher = publisher.map(|it| it.start(store.log.clone(), publishing.clone()));
        let tolerance = Some(options.tolerance_seconds);
        let app = Arc::new(App {
            store,
            ingest,
            projector: projector.handle(),
            verifier: Verifier::bound(options.webhook_secrets.expose(), tolerance),
            tokens: Tokens::new(&options.api_tokens, &options.access_tokens),
            signing_key,
            mode: options.mode,
            clock: options.clock,
            metrics: Arc::default(),
            notices: Notices::default(),
        });
        let mut listeners = JoinSet::new();
        let mut serve = |socket: Socket, face| {
            let router = http::router(Arc::clone(&app), face);
            let listener = Listener::new(socket.socket, router, Arc::clone(&app.metrics));
            listeners.spawn(listener.serve(stop.clone()));
        };
        serve(public, if private.is_some() { Face::Public } else { Face::Whole });
        if let Some(private) = private {
            serve(private, Face::Private);
        }
        Ok(Self {
            app,
            projector,
            writer,
            filler,
            publisher,
            publishing,
            stop,
            listeners,
            address,
            private_address,
        })
    }

    /// Where it listens; tells the port where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the API is, if at an address of its own.
    pub fn private_address(&self) -> Option<SocketAddr> {
        self.private_address
    }

    /// What the endpoints share.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Ends in order: accepts no more connections, answers what was received after its commit,
    /// finishes the follower's batch, closes the files.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let drained = async { while self.listeners.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            tracing::warn!(
                "some requests did not end within {} seconds and are cut off",
                DRAIN_TIMEOUT.as_secs()
            );
        }
        self.app.ingest.close();
        if let Err(error) = self.writer.await {
            tracing::error!(%error, "the writer of the log ended badly: {error}");
        }
        self.projector.stop().await;
        // After the last append, so that what is published last is the whole log.
        self.publishing.cancel();
        for task in [Some(self.filler), self.publisher].into_iter().flatten() {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task about the log's proofs ended badly: {error}");
            }
        }
        self.app.store.close().await;
    }
}

/// Keeps what makes proofs quick, for a ledger that is older than that. Proofs are made without, too.
async fn fill_nodes(log: Log, stop: CancellationToken) {
    let filled = tokio::select! {
        filled = log.fill_nodes() => filled,
        () = stop.cancelled() => return,
    };
    match filled {
        Ok(0) => {}
        Ok(filled) => tracing::info!(filled, "{filled} hashes of the log's tree are kept now"),
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "hashes of the log's tree are not kept, so proofs take longer: {error}"
        ),
    }
}

/// An address that is bound and not served yet: who connects, waits.
struct Socket {
    socket: TcpListener,
    address: SocketAddr,
}

impl Socket {
    async fn bind(address: &str) -> Result<Self, StartError> {
        let listen = async {
            let socket = TcpListener::bind(address).await?;
            Ok(Self { address: socket.local_addr()?, socket })
        };
        let error = |source| StartError::Listen { address: address.to_owned(), source };
        listen.await.map_err(error)
    }
}
