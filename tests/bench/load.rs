//! A load generator: keep-alive connections that each send, wait for the answer, and send again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use subledger::clock::Clock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Duration of the whole load, and of each request.
pub(crate) struct Measured {
    elapsed: Duration,
    /// In microseconds, ascending.
    latencies: Vec<u128>,
}

impl Measured {
    pub(crate) fn new(elapsed: Duration, mut latencies: Vec<u128>) -> Self {
        latencies.sort_unstable();
        Self { elapsed, latencies }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    #[expect(clippy::cast_precision_loss, reason = "a time for people")]
    pub(crate) fn percentile_ms(&self, percent: usize) -> f64 {
        let index = (self.latencies.len() - 1) * percent / 100;
        self.latencies[index] as f64 / 1000.0
    }
}

/// Sends every request once; each must be answered with 200.
pub(crate) async fn run(
    address: SocketAddr,
    requests: Vec<Vec<u8>>,
    connections: usize,
) -> anyhow::Result<Measured> {
    let requests = Arc::new(requests);
    let next = Arc::new(AtomicUsize::new(0));
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    let stopwatch = Clock::stopwatch();
    let mut tasks = JoinSet::new();
    for stream in streams {
        tasks.spawn(connection(stream, Arc::clone(&requests), Arc::clone(&next)));
    }
    let mut latencies = Vec::with_capacity(requests.len());
    while let Some(finished) = tasks.join_next().await {
        latencies.extend(finished??);
    }
    Ok(Measured::new(stopwatch.elapsed(), latencies))
}

async fn connection(
    mut stream: TcpStream,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
) -> anyhow::Result<Vec<u128>> {
    let mut latencies = Vec::new();
    let mut answer = Vec::with_capacity(1024);
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let stopwatch = Clock::stopwatch();
        stream.write_all(request).await?;
        answer.clear();
        while !is_complete(&answer)? {
            anyhow::ensure!(stream.read_buf(&mut answer).await? > 0, "the server hung up");
        }
        latencies.push(stopwatch.elapsed().as_micros());
        anyhow::ensure!(
            answer.starts_with(b"HTTP/1.1 200 "),
            "answered: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    Ok(latencies)
}

/// True if the head, and as much as it announces, has been read.
fn is_complete(answer: &[u8]) -> anyhow::Result<bool> {
    let Some(head) = answer.windows(4).position(|it| it == b"\r\n\r\n") else { return Ok(false) };
    let text = std::str::from_utf8(&answer[..head])?.to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.context("the answer has a length")?.parse()?;
    Ok(answer.len() >= head + 4 + length)
}
