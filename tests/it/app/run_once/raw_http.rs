//! A client that speaks HTTP by hand, to do what no well-behaved client does.

use std::time::Duration;

use subledger::simulate::sign;
use subledger::time::ReceivedAt;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::app::server::{NOW, SECRET, TestServer};

/// Limit on what a test waits for; far longer than anything takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// A connection to the server.
pub(super) struct RawClient(pub(super) TcpStream);

impl RawClient {
    pub(super) async fn connect(server: &TestServer) -> Self {
        let address = server.url.trim_start_matches("http://");
        Self(TcpStream::connect(address).await.unwrap())
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Closes the sending side.
    pub(super) async fn end(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    /// Reads until the server closes, which it must do without a reset.
    pub(super) async fn read_to_end(&mut self) -> String {
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut answer)).await;
        read.expect("the server closes").expect("the connection is not reset");
        String::from_utf8(answer).unwrap()
    }

    /// Reads one answer that has a `Content-Length`; empty where the server has closed.
    pub(super) async fn read_answer(&mut self) -> String {
        let mut answer = Vec::new();
        let read = async {
            while !is_complete(&answer) && self.0.read_buf(&mut answer).await.unwrap_or(0) > 0 {}
        };
        tokio::time::timeout(PATIENCE, read).await.expect("the server answers");
        String::from_utf8(answer).unwrap()
    }

    /// Waits until the server has closed the connection, in whatever way.
    pub(super) async fn closed(&mut self) {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut rest)).await;
        let _ = read.expect("the server closes");
    }
}

fn is_complete(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.to_ascii_lowercase();
    let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.parse::<usize>().unwrap())
}

/// Unix time of the server's clock.
pub(super) fn now() -> i64 {
    ReceivedAt::parse(NOW).unwrap().to_stripe_time().0
}

/// Signature header of a body, made now.
pub(super) fn signature(body: &str) -> String {
    sign(SECRET, now(), body.as_bytes())
}

/// Signature header that is well-formed and current, and fits nothing.
pub(super) fn forged() -> String {
    format!("t={},v1={}", now(), "0".repeat(64))
}

/// Head of a delivery.
pub(super) fn head(signature: &str, length: usize, more: &str) -> String {
    format!(
        "POST /api/stripe/webhook/ HTTP/1.1\r\nHost: x\r\nStripe-Signature: {signature}\r\n\
         Content-Length: {length}\r\n{more}\r\n"
    )
}

/// A whole delivery.
pub(super) fn delivery(body: &str) -> String {
    head(&signature(body), body.len(), "") + body
}
