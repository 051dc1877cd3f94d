//! A listener and its connections: limits on time and size, and an orderly end.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::metrics::Metrics;

/// Connections of one listener at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 1_024;
/// How long a request's header may take, and how long a connection may idle between requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest header, in bytes; a longer one is answered 431.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// How long to wait when no connection can be accepted, as without free file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An address that is being listened on, and what answers there.
pub struct Listener {
    socket: TcpListener,
    router: Router,
    metrics: Arc<Metrics>,
}

impl Listener {
    /// Serves a router on a bound socket.
    pub fn new(socket: TcpListener, router: Router, metrics: Arc<Metrics>) -> Self {
        Self { socket, router, metrics }
    }

    /// Serves until `stop` fires; then accepts no more, lets every connection finish the request
    /// it is in, and returns when the last one has.
    pub async fn serve(self, stop: CancellationToken) {
        let connections = TaskTracker::new();
        let free = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accept = async {
                let permit = Arc::clone(&free).acquire_owned().await;
                (permit, self.socket.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                () = stop.cancelled() => break,
                accepted = accept => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let connection = Connection {
                        stream,
                        router: self.router.clone(),
                        metrics: Arc::clone(&self.metrics),
                        stop: stop.clone(),
                    };
                    connections.spawn(async move {
                        connection.serve().await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.socket);
        connections.close();
        connections.wait().await;
    }
}

struct Connection {
    stream: TcpStream,
    router: Router,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
}

impl Connection {
    async fn serve(self) {
        let Self { stream, router, metrics, stop } = self;
        // An answer is one small write; waiting to fill a packet would only delay it.
        let _ = stream.set_nodelay(true);
        metrics.connections.inc();
        let service = TowerToHyperService::new(router);
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_buf_size(HEADER_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service)
        );
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        metrics.connections.dec();
        if result.is_err_and(|error| error.is_parse() || error.is_timeout()) {
            metrics.connections_broken.inc();
        }
    }
}
