//! Socket of a connection: reports progress to the connection's state, and closes so that the client can read the
//! last answer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::connection_state::ConnectionState;

/// Number of bytes to discard at a time.
const DISCARD_BYTES: usize = 16 * 1024;

/// TCP stream that reports its progress.
pub(super) struct Socket {
    stream: TcpStream,
    state: Arc<ConnectionState>,
    /// Number of bytes that may still be discarded; none before writing has ended.
    discard: Option<usize>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, state: Arc<ConnectionState>) -> Self {
        Self { stream, state, discard: None }
    }

    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Pending => self.state.record_write_stalled(),
            Poll::Ready(_) => self.state.record_written(),
        }
        result
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.state.record_read();
        }
        result
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Ends writing, then discards what the client still sends, up to a limit. A socket that is closed with unread
    /// bytes resets the connection, and the client could lose the answer.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let left = if let Some(left) = self.discard {
            left
        } else {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.state.begin_close()
        };
        self.discard = Some(left);
        if left == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut bytes = [0; DISCARD_BYTES];
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
        let count = buffer.filled().len();
        // A client that has disconnected reads no answer.
        if read.is_err() || count == 0 {
            return Poll::Ready(Ok(()));
        }
        self.discard = Some(left.saturating_sub(count));
        // One piece at a time, so that other tasks can run in between.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
