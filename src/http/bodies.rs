//! Reading the bodies of webhooks, within a limit on all of them together.
//!
//! A body of at most [`SMALL_BYTES_MAX`], as nearly all are, takes no part of the budget: the number
//! of connections limits those. Larger ones share [`LARGE_BYTES_MAX`]. Where that is used up, the
//! oldest body that is not verified yet gives way to the newest, so that nobody can hold the budget by sending
//! slowly. Whoever waits is not read from, and the newest is served first: those before it may be
//! waiting in order to be in the way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::problem::{Problem, ProblemType};

/// Largest body in bytes. Stripe's largest known events stay far below.
pub const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Largest body that takes no part of the budget, in bytes.
const SMALL_BYTES_MAX: usize = 32 * 1024;
/// Budget of all larger bodies together, in bytes.
const LARGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Time that a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// Time that a large body waits for its part of the budget.
const BUDGET_TIMEOUT: Duration = Duration::from_secs(10);

/// Budget of the large bodies that are being received or stored. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Bodies(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    used: usize,
    next: u64,
    /// Bodies that are not verified yet and have not given way, by the order of their arrival.
    unverified: BTreeMap<u64, CancellationToken>,
    /// Bodies that wait for their part, and how large it is.
    waiting: BTreeMap<u64, (usize, oneshot::Sender<Part>)>,
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

/// Place among those that wait; given up on drop.
struct Place<'a>(&'a Bodies, u64);

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
            Err(Problem::new(ProblemType::BodyTooSlow, detail))
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
            let frame = frame.map_err(|_| {
                Problem::new(ProblemType::BodyIncomplete, "the body ended before its end")
            })?;
            let Ok(data) = frame.into_data() else { continue };
            let length = bytes.len() + data.len();
            if length > most {
                return Err(too_large());
            }
            if length > SMALL_BYTES_MAX && part.is_none() {
                part = Some(self.reserve(most).await?);
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

    /// Takes a part of the budget, for which the oldest body that is not verified gives way if it must.
    async fn reserve(&self, bytes: usize) -> Result<Part, Problem> {
        let (sender, granted) = oneshot::channel();
        let (place, rejected) = {
            let mut state = self.lock();
            if state.used + bytes > LARGE_BYTES_MAX
                && let Some((_, gives_way)) = state.unverified.pop_first()
            {
                gives_way.cancel();
            }
            let number = state.next;
            state.next += 1;
            state.waiting.insert(number, (bytes, sender));
            (Place(self, number), state.grant(self))
        };
        drop(rejected);
        let granted = tokio::time::timeout(BUDGET_TIMEOUT, granted).await;
        drop(place);
        granted.ok().and_then(Result::ok).ok_or_else(full)
    }

    /// No code that holds the lock can panic half-way through a change.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Grants what is free to the newest that wait. Returns the parts of those who wait no more, to
    /// be dropped without the lock.
    fn grant(&mut self, bodies: &Bodies) -> Vec<Part> {
        let mut rejected = Vec::new();
        while let Some(newest) = self.waiting.last_entry() {
            if self.used + newest.get().0 > LARGE_BYTES_MAX {
                break;
            }
            let (number, (bytes, waiter)) = newest.remove_entry();
            let gives_way = CancellationToken::new();
            self.used += bytes;
            self.unverified.insert(number, gives_way.clone());
            let part = Part { bodies: bodies.clone(), number, bytes, gives_way };
            rejected.extend(waiter.send(part).err());
        }
        rejected
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let rejected = {
            let mut state = self.bodies.lock();
            state.unverified.remove(&self.number);
            state.used -= self.bytes;
            state.grant(&self.bodies)
        };
        drop(rejected);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting.remove(&self.1);
    }
}

fn too_large() -> Problem {
    Problem::new(ProblemType::BodyTooLarge, format!("an event has at most {BODY_BYTES_MAX} bytes"))
}

fn full() -> Problem {
    Problem::new(ProblemType::BodiesFull, "too many large bodies arrive at once; send it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of the budget, in parts of the largest body.
    async fn fill(bodies: &Bodies) -> Vec<Part> {
        let mut parts = Vec::new();
        for _ in 0..LARGE_BYTES_MAX / BODY_BYTES_MAX {
            parts.push(bodies.reserve(BODY_BYTES_MAX).await.unwrap());
        }
        assert_eq!(bodies.lock().used, LARGE_BYTES_MAX);
        parts
    }

    fn verify(part: &Part) -> bool {
        part.bodies.lock().unverified.remove(&part.number).is_some()
    }

    #[tokio::test]
    async fn the_oldest_unverified_body_gives_way_and_its_memory_is_free_first() {
        let bodies = Bodies::default();
        let mut parts = fill(&bodies).await;
        assert!(verify(&parts[0]));
        let mut newcomer = Box::pin(bodies.reserve(BODY_BYTES_MAX));
        assert!(futures_util::poll!(newcomer.as_mut()).is_pending(), "nothing is free yet");
        let gone: Vec<bool> = parts.iter().map(|part| part.gives_way.is_cancelled()).collect();
        assert!(gone[1] && gone.iter().filter(|it| **it).count() == 1, "{gone:?}");
        drop(parts.remove(1));
        let newcomer = newcomer.await.unwrap();
        assert_eq!(bodies.lock().used, LARGE_BYTES_MAX);
        drop((parts, newcomer));
        assert_eq!(bodies.lock().used, 0);
    }

    #[tokio::test]
    async fn among_those_that_wait_the_newest_is_served_first() {
        let bodies = Bodies::default();
        let mut parts = fill(&bodies).await;
        assert!(parts.iter().all(verify));
        let mut older = Box::pin(bodies.reserve(BODY_BYTES_MAX));
        assert!(futures_util::poll!(older.as_mut()).is_pending());
        let mut newer = Box::pin(bodies.reserve(BODY_BYTES_MAX));
        assert!(futures_util::poll!(newer.as_mut()).is_pending());
        parts.pop();
        parts.push(newer.await.unwrap());
        assert!(futures_util::poll!(older.as_mut()).is_pending());
        // Who waits no more leaves nothing behind.
        drop(older);
        assert!(bodies.lock().waiting.is_empty());
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
        assert_eq!(too_large.unwrap_err().kind(), ProblemType::BodyTooLarge);
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
        assert_eq!(too_large.unwrap_err().kind(), ProblemType::BodyTooLarge);
    }
}
