//! The clients: hostile ones of each kind, and Stripe.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use subledger::clock::Clock;
use subledger::http::BODY_BYTES_MAX;
use subledger::simulate::sign;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Secret that the genuine webhooks are signed with.
pub(crate) const SECRET: &str = "whsec_benchmark";
/// A piece of a forged body.
static SPACES: [u8; 16 * 1024] = [b' '; 16 * 1024];
/// Pause before a connection that was closed is opened again.
const PAUSE: Duration = Duration::from_millis(100);

/// Kind of hostile clients.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Connects and sends nothing.
    Idle,
    /// Sends a head, a byte a second.
    SlowHead,
    /// Sends requests without end and reads no answer.
    NeverReads,
    /// Sends all but the end of the largest body, with a forged signature.
    ForgedBody,
    /// The same with the largest body that is not counted as large.
    ForgedSmallBody,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::SlowHead => "slow head",
            Self::NeverReads => "never reads",
            Self::ForgedBody => "forged 2 MiB",
            Self::ForgedSmallBody => "forged 32 KiB",
        }
    }
}

/// Hostile clients at work; they end with this value.
pub(crate) struct Hostile {
    opened: Arc<AtomicUsize>,
    _clients: JoinSet<()>,
}

/// Starts so many clients, each with a connection that it opens again when it is closed.
pub(crate) fn start(
    kind: Kind,
    connections: usize,
    address: SocketAddr,
    runtime: &Handle,
) -> Hostile {
    let opened = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        let opened = Arc::clone(&opened);
        let client = async move {
            loop {
                if let Ok(stream) = TcpStream::connect(address).await {
                    opened.fetch_add(1, Ordering::Relaxed);
                    let _ = attack(kind, stream).await;
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        clients.spawn_on(client, runtime);
    }
    Hostile { opened, _clients: clients }
}

impl Hostile {
    /// Connections that were opened so far.
    pub(crate) fn count(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    /// Waits until each client has had a connection.
    pub(crate) async fn opened(&self, connections: usize) {
        while self.count() < connections {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Goes on until the server closes the connection.
async fn attack(kind: Kind, mut stream: TcpStream) -> std::io::Result<()> {
    match kind {
        Kind::Idle => {}
        Kind::SlowHead => {
            stream.write_all(b"POST /api/stripe/webhook/ HTTP/1.1\r\nX: ").await?;
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                stream.write_all(b"x").await?;
            }
        }
        Kind::NeverReads => {
            let requests = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
            loop {
                stream.write_all(requests.as_bytes()).await?;
            }
        }
        Kind::ForgedBody => send_forged(&mut stream, BODY_BYTES_MAX).await?,
        Kind::ForgedSmallBody => send_forged(&mut stream, 32 * 1024).await?,
    }
    let mut answer = [0; 1024];
    while stream.read(&mut answer).await? > 0 {}
    Ok(())
}

/// Sends all of a body but its last byte.
async fn send_forged(stream: &mut TcpStream, length: usize) -> std::io::Result<()> {
    let now = Clock::System.now().to_stripe_time().0;
    let signature = format!("t={now},v1={}", "0".repeat(64));
    stream.write_all(head(&signature, length).as_bytes()).await?;
    let mut left = length - 1;
    while left > 0 {
        left -= stream.write(&SPACES[..left.min(SPACES.len())]).await?;
    }
    Ok(())
}

fn head(signature: &str, length: usize) -> String {
    format!(
        "POST /api/stripe/webhook/ HTTP/1.1\r\nHost: x\r\nStripe-Signature: {signature}\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

/// A webhook over a connection of its own; it must be stored. A connection that is closed before the
/// answer is opened again, as Stripe would: that counts into the time.
pub(crate) async fn genuine(address: SocketAddr, body: &str) -> anyhow::Result<()> {
    loop {
        let now = Clock::System.now().to_stripe_time().0;
        let request = head(&sign(SECRET, now, body.as_bytes()), body.len()) + body;
        let mut stream = TcpStream::connect(address).await?;
        let mut answer = [0; 1024];
        let exchange = async {
            stream.write_all(request.as_bytes()).await?;
            stream.read(&mut answer).await
        };
        match exchange.await {
            Ok(length @ 1..) => {
                let answer = String::from_utf8_lossy(&answer[..length]);
                anyhow::ensure!(answer.starts_with("HTTP/1.1 200"), "answered: {answer}");
                return Ok(());
            }
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}
