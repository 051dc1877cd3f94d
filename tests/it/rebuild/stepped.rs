//! A future that is given up in the middle.

use std::pin::Pin;
use std::task::Poll;

/// Goes on with a future for so many steps at most: each ends where it waits for something. None if it has
/// not ended by then.
pub(crate) async fn steps<F: Future>(future: &mut Pin<Box<F>>, count: usize) -> Option<F::Output> {
    let mut left = count;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}
