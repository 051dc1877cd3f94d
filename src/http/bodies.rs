//! Reading the bodies of webhooks, within a limit on all of them together.
//!
//! A body of at most [`SMALL_BYTES_MAX`], as nearly all are, takes no part of the budget: the number
//! of connections limits those. Larger ones share [`LARGE_BYTES_MAX`]. Where that is used up, the
//! oldest body that is not verified yet gives way, so that nobody can hold the budget by sending slowly.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio_util::sync::CancellationToken;

use super::problem::{Kind, Problem};

/// Largest body in bytes. Stripe's largest known events stay far below.
pub const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Largest body that takes no part of the budget, in bytes.
const SMALL_BYTES_MAX: usize = 64 * 1024;
/// Budget of all larger bodies together, in bytes.
const LARGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Time that a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// Budget of the large bodies that are being received or stored. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Bodies(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    used: usize,
    next: u64,
    /// Bodies that are not verified yet, by the order of their arrival.
    unverified: BTreeMap<u64, (usize, CancellationToken)>,
}

/// A body, and its part of the budget.
#[derive(Debug)]
pub(super) struct ReceivedBody {
    pub(super) bytes: Vec<u8>,
    part: Option<Part>,
}

/// Part of the budget; given back on drop.
#[derive(Debug)]
struct Part {
    bodies: Bodies,
    number: u64,
    bytes: usize,
    gives_way: CancellationToken,
}

impl ReceivedBody {
    /// Takes the bytes out. The part of the budget, which is returned beside them, does not give way any more.
    pub(super) fn verified(self) -> (Vec<u8>, impl Send) {
        if let Some(part) = &self.part {
            part.bodies.lock().unverified.remove(&part.number);
        }
        (self.bytes, self.part)
    }
}

impl Bodies {
    /// Reads a whole body, within the limits of size and time.
    pub(super) async fn read(&self, body: Body) -> Result<ReceivedBody, Problem> {
        let announced = body.size_hint();
        if announced.lower() > BODY_BYTES_MAX as u64 {
            return Err(too_large());
        }
        let exact = announced.exact().and_then(|bytes| usize::try_from(bytes).ok());
        tokio::time::timeout(BODY_TIMEOUT, self.collect(body, exact)).await.unwrap_or_else(|_| {
            let detail =
                format!("the body did not arrive within {} seconds", BODY_TIMEOUT.as_secs());
            Err(Problem::new(Kind::BodyTooSlow, detail))
        })
    }

    async fn collect(&self, mut body: Body, exact: Option<usize>) -> Result<ReceivedBody, Problem> {
        let most = exact.unwrap_or(BODY_BYTES_MAX);
        let mut bytes = Vec::new();
        let mut part: Option<Part> = None;
        loop {
            let frame = match &part {
                None => body.frame().await,
                Some(part) => tokio::select! {
                    frame = body.frame() => frame,
                    () = part.gives_way.cancelled() => return Err(full()),
                },
            };
            let Some(frame) = frame else { break };
            let frame = frame
                .map_err(|_| Problem::new(Kind::BodyIncomplete, "the body ended before its end"))?;
            let Ok(data) = frame.into_data() else { continue };
            let length = bytes.len() + data.len();
            if length > most {
                return Err(too_large());
            }
            if length > SMALL_BYTES_MAX && part.is_none() {
                part = Some(self.reserve(most)?);
            }
            if length > bytes.capacity() {
                // Small bodies are reserved in one piece. A large one takes its memory only once it has
                // sent more than a small one; without an announced length it grows by steps.
                let room = match exact {
                    Some(exact) if exact <= SMALL_BYTES_MAX || length > SMALL_BYTES_MAX => exact,
                    _ => (2 * bytes.capacity()).clamp(length, most),
                };
                bytes.reserve_exact(room - bytes.len());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(ReceivedBody { bytes, part })
    }

    /// Takes a part of the budget; the oldest parts that are not verified give way to it.
    fn reserve(&self, bytes: usize) -> Result<Part, Problem> {
        let mut state = self.lock();
        let evictable: usize = state.unverified.values().map(|(bytes, _)| bytes).sum();
        if state.used - evictable + bytes > LARGE_BYTES_MAX {
            return Err(full());
        }
        while state.used + bytes > LARGE_BYTES_MAX {
            let Some((_, (freed, gives_way))) = state.unverified.pop_first() else { break };
            state.used -= freed;
            gives_way.cancel();
        }
        let (number, gives_way) = (state.next, CancellationToken::new());
        state.next += 1;
        state.used += bytes;
        state.unverified.insert(number, (bytes, gives_way.clone()));
        Ok(Part { bodies: self.clone(), number, bytes, gives_way })
    }

    /// No code that holds the lock can panic half-way through a change.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut state = self.bodies.lock();
        state.unverified.remove(&self.number);
        // What gave way was given back then.
        if !self.gives_way.is_cancelled() {
            state.used -= self.bytes;
        }
    }
}

fn too_large() -> Problem {
    Problem::new(Kind::BodyTooLarge, format!("an event has at most {BODY_BYTES_MAX} bytes"))
}

fn full() -> Problem {
    Problem::new(Kind::BodiesFull, "too many large bodies arrive at once; send it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_unverified_body_gives_way_and_verified_ones_do_not() {
        let bodies = Bodies::default();
        let mut parts: Vec<Part> = (0..LARGE_BYTES_MAX / BODY_BYTES_MAX)
            .map(|_| bodies.reserve(BODY_BYTES_MAX).unwrap())
            .collect();
        assert_eq!(bodies.lock().used, LARGE_BYTES_MAX);
        let verify = |part: &Part| bodies.lock().unverified.remove(&part.number).is_some();
        assert!(verify(&parts[0]));
        let another = bodies.reserve(BODY_BYTES_MAX).unwrap();
        let gone: Vec<bool> = parts.iter().map(|part| part.gives_way.is_cancelled()).collect();
        assert!(gone[1] && gone.iter().filter(|it| **it).count() == 1, "{gone:?}");
        parts.push(another);
        for part in &parts {
            verify(part);
        }
        assert_eq!(bodies.reserve(BODY_BYTES_MAX).unwrap_err().kind(), Kind::BodiesFull);
        parts.pop();
        bodies.reserve(BODY_BYTES_MAX).unwrap();
        drop(parts);
        assert_eq!(bodies.lock().used, 0);
    }

    #[tokio::test]
    async fn a_body_takes_exactly_its_length_of_memory() {
        let bodies = Bodies::default();
        for length in [0, 1, 100, SMALL_BYTES_MAX, SMALL_BYTES_MAX + 1, BODY_BYTES_MAX] {
            let body = Body::from(vec![b'x'; length]);
            let received = bodies.read(body).await.unwrap();
            assert_eq!((received.bytes.len(), received.bytes.capacity()), (length, length));
            assert_eq!(bodies.lock().used, if length > SMALL_BYTES_MAX { length } else { 0 });
        }
        let too_large = bodies.read(Body::from(vec![b'x'; BODY_BYTES_MAX + 1])).await;
        assert_eq!(too_large.unwrap_err().kind(), Kind::BodyTooLarge);
        assert_eq!(bodies.lock().used, 0);
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_is_limited_and_never_takes_more_than_the_limit() {
        let stream = |frames: usize| {
            let frames = (0..frames).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 8 * 1024]));
            Body::from_stream(futures_util::stream::iter(frames))
        };
        let bodies = Bodies::default();
        let frames = BODY_BYTES_MAX / (8 * 1024);
        let received = bodies.read(stream(frames)).await.unwrap();
        assert_eq!(
            (received.bytes.len(), received.bytes.capacity()),
            (BODY_BYTES_MAX, BODY_BYTES_MAX)
        );
        let too_large = bodies.read(stream(frames + 1)).await;
        assert_eq!(too_large.unwrap_err().kind(), Kind::BodyTooLarge);
    }
}
