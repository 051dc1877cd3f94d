//! Listener: accepts connections, limits their number, time and size, and shuts down gracefully.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection_state::{CloseReason, Shutdown};
use super::connections::{Admission, Connections, Slot};
use super::limits::{HEAD_BYTES_MAX, SWEEP_EVERY, UNVERIFIED_REQUESTS_MAX};
use super::metrics::Metrics;
use super::socket::Socket;
use crate::config::ConnectionLimits;

/// Length of the system's queue of connections. A client that finds it full tries again a second later.
#[cfg(unix)]
const ACCEPT_QUEUE: i32 = 4_096;
/// Pause when no connection can be accepted, as without free file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listener on one address, with its router.
pub struct Listener {
    socket: TcpListener,
    router: Router,
    metrics: Arc<Metrics>,
    connections: Arc<Connections>,
}

impl Listener {
    /// Creates a listener on a bound socket.
    pub fn new(
        socket: TcpListener,
        router: Router,
        metrics: Arc<Metrics>,
        limits: ConnectionLimits,
    ) -> Self {
        // A second call only changes the length of the queue. If it fails, the queue stays shorter.
        #[cfg(unix)]
        let _ = rustix::net::listen(&socket, ACCEPT_QUEUE);
        Self { socket, router, metrics, connections: Connections::new(limits) }
    }

    /// Serves until `stop` is cancelled. Then accepts no further connection, lets every connection finish its current
    /// request, and returns.
    pub async fn serve(self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let (metrics, connections) = (Arc::clone(&self.metrics), Arc::clone(&self.connections));
        let serve = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.accept(&tasks, &stop) => {}
            }
            drop(self.socket);
            tasks.close();
            tasks.wait().await;
        };
        tokio::select! {
            () = serve => {}
            () = sweep(&connections, &metrics) => {}
        }
    }

    async fn accept(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        loop {
            match self.socket.accept().await {
                Ok((stream, address)) => {
                    let Some(slot) = self.admit(address.ip()).await else { continue };
                    let connection = Connection {
                        stream,
                        router: self.router.clone(),
                        metrics: Arc::clone(&self.metrics),
                        slot,
                        stop: stop.clone(),
                    };
                    tasks.spawn(connection.serve());
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted: {error}");
                    self.connections.evict_one();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Waits for a slot; none if the address may have no further connection.
    async fn admit(&self, address: IpAddr) -> Option<Slot> {
        loop {
            match self.connections.admit(address) {
                Admission::Admitted { slot, evicted_by: None } => return Some(slot),
                Admission::Admitted { slot, evicted_by: Some(limit) } => {
                    self.metrics.closed(CloseReason::GaveWay);
                    self.metrics.warnings.connection_evicted(limit);
                    return Some(slot);
                }
                Admission::Refused => {
                    self.metrics.closed(CloseReason::Refused);
                    self.metrics.warnings.connection_evicted("connections-per-address");
                    return None;
                }
                // A verified connection may become idle, which frees no slot: check again after a pause.
                Admission::Full => {
                    let _ = tokio::time::timeout(ACCEPT_PAUSE, self.connections.slot_freed()).await;
                }
            }
        }
    }
}

/// Checks the deadlines of all connections and logs due warnings, for ever.
async fn sweep(connections: &Connections, metrics: &Metrics) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        connections.sweep(|reason| metrics.closed(reason));
        metrics.warnings.log_due();
    }
}

struct Connection {
    stream: TcpStream,
    router: Router,
    metrics: Arc<Metrics>,
    slot: Slot,
    stop: CancellationToken,
}

impl Connection {
    async fn serve(self) {
        let Self { stream, router, metrics, slot, stop } = self;
        let state = &slot.state;
        // An answer is one small write. Waiting to fill a packet would only delay it.
        let _ = stream.set_nodelay(true);
        metrics.connections.inc();
        let _open = OnDrop(|| {
            metrics.connections.dec();
        });
        // A connection gets its buffers only once it sends something.
        tokio::select! {
            biased;
            _ = stream.readable() => {}
            _ = state.shutdown_requested() => return,
            () = stop.cancelled() => return,
        }
        let router = TowerToHyperService::new(router);
        let service = service_fn(|mut request: Request<Incoming>| {
            let number = state.begin_request(!request.body().is_end_stream());
            request.extensions_mut().insert(Arc::clone(state));
            let answer = router.call(request);
            async move {
                // A client that sends requests without end must not block the others.
                if number > 1 && !state.is_verified() {
                    tokio::task::yield_now().await;
                }
                let mut answer = answer.await;
                if number >= UNVERIFIED_REQUESTS_MAX
                    && !state.is_verified()
                    && let Ok(answer) = &mut answer
                {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                state.end_request();
                answer
            }
        });
        let socket = TokioIo::new(Socket::new(stream, Arc::clone(state)));
        let mut connection = pin!(
            http1::Builder::new()
                // The connection's state has the deadlines.
                .header_read_timeout(None)
                .half_close(true)
                .max_header_size(HEAD_BYTES_MAX)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(socket, service)
        );
        let mut stopping = false;
        let result = loop {
            tokio::select! {
                result = connection.as_mut() => break result,
                shutdown = state.shutdown_requested() => if shutdown == Shutdown::Immediate { return },
                () = stop.cancelled(), if !stopping => stopping = true,
            }
            state.begin_shutdown();
            connection.as_mut().graceful_shutdown();
        };
        if result.is_err_and(|error| error.is_parse() || error.is_timeout()) {
            metrics.connections_broken.inc();
        }
    }
}

/// Runs a function when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}
