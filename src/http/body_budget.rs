//! Bodies of webhooks and of questions, read within a memory budget.
//!
//! Nearly all bodies have at most [`SMALL_BYTES_MAX`] and need no share of the budget: the number of connections
//! limits them. Larger bodies share [`LARGE_BYTES_MAX`]. If that is used up, the oldest body that is not verified
//! yet is evicted for the newest, so that nobody can hold the budget by sending slowly. A body that waits for its
//! share is not read, and the newest is served first: older ones may be waiting in order to block others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::problem::{Problem, ProblemType};

/// Largest body, in bytes. Stripe's largest known events are far smaller.
pub const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Largest body that takes no share of the budget, in bytes.
const SMALL_BYTES_MAX: usize = 32 * 1024;
/// Size of the budget, which all larger bodies share, in bytes.
const LARGE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Time limit for a body to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// Time limit of a large body's wait for its share of the budget.
const BUDGET_TIMEOUT: Duration = Duration::from_secs(10);

/// Memory budget of the large bodies that are being received or stored. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct BodyBudget(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    used: usize,
    next: u64,
    /// Shares of bodies that are neither verified nor evicted, by arrival.
    unverified: BTreeMap<u64, CancellationToken>,
    /// Bodies that wait for a share, with its size.
    waiting: BTreeMap<u64, (usize, oneshot::Sender<BudgetShare>)>,
}

/// Received body, with its share of the budget.
#[derive(Debug)]
pub(super) struct ReceivedBody {
    pub(super) bytes: Vec<u8>,
    share: Option<BudgetShare>,
}

/// Share of the budget; returned on drop.
#[derive(Debug)]
struct BudgetShare {
    budget: BodyBudget,
    number: u64,
    bytes: usize,
    evicted: CancellationToken,
}

/// Entry of a waiting body; removed on drop.
struct WaitingPlace<'a>(&'a BodyBudget, u64);

impl ReceivedBody {
    /// Takes the bytes of a verified body. Its share of the budget, which is returned beside them, can no longer be
    /// evicted.
    pub(super) fn into_verified(self) -> (Vec<u8>, impl Send) {
        if let Some(share) = &self.share {
            share.budget.lock().unverified.remove(&share.number);
        }
        (self.bytes, self.share)
    }
}

impl BodyBudget {
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
        let mut share: Option<BudgetShare> = None;
        loop {
            let frame = match &share {
                None => body.frame().await,
                Some(share) => tokio::select! {
                    frame = body.frame() => frame,
                    () = share.evicted.cancelled() => return Err(full()),
                },
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|_| {
                Problem::new(ProblemType::BodyIncomplete, "the connection ended inside the body")
            })?;
            let Ok(data) = frame.into_data() else { continue };
            let length = bytes.len() + data.len();
            if length > most {
                return Err(too_large());
            }
            if length > SMALL_BYTES_MAX && share.is_none() {
                share = Some(self.reserve(most).await?);
            }
            if length > bytes.capacity() {
                // A small body is reserved in one piece. A large body gets its memory only once it has sent more
                // than a small one; without an announced length it grows by steps.
                let capacity = match exact {
                    Some(exact) if exact <= SMALL_BYTES_MAX || length > SMALL_BYTES_MAX => exact,
                    _ => (2 * bytes.capacity()).clamp(length, most),
                };
                bytes.reserve_exact(capacity - bytes.len());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(ReceivedBody { bytes, share })
    }

    /// Reserves a share of the budget, if need be by evicting the oldest body that is not verified.
    async fn reserve(&self, bytes: usize) -> Result<BudgetShare, Problem> {
        let (sender, granted) = oneshot::channel();
        let (place, rejected) = {
            let mut state = self.lock();
            if state.used + bytes > LARGE_BYTES_MAX
                && let Some((_, evicted)) = state.unverified.pop_first()
            {
                evicted.cancel();
            }
            let number = state.next;
            state.next += 1;
            state.waiting.insert(number, (bytes, sender));
            (WaitingPlace(self, number), state.grant(self))
        };
        drop(rejected);
        let granted = tokio::time::timeout(BUDGET_TIMEOUT, granted).await;
        drop(place);
        granted.ok().and_then(Result::ok).ok_or_else(full)
    }

    /// Locks the state. No code that holds the lock can panic half-way through a change, so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Grants the free part of the budget to the newest waiting bodies. Returns the shares of bodies that no longer
    /// wait, to be dropped without the lock.
    fn grant(&mut self, budget: &BodyBudget) -> Vec<BudgetShare> {
        let mut rejected = Vec::new();
        while let Some(newest) = self.waiting.last_entry() {
            if self.used + newest.get().0 > LARGE_BYTES_MAX {
                break;
            }
            let (number, (bytes, waiter)) = newest.remove_entry();
            let evicted = CancellationToken::new();
            self.used += bytes;
            self.unverified.insert(number, evicted.clone());
            let share = BudgetShare { budget: budget.clone(), number, bytes, evicted };
            rejected.extend(waiter.send(share).err());
        }
        rejected
    }
}

impl Drop for BudgetShare {
    fn drop(&mut self) {
        let rejected = {
            let mut state = self.budget.lock();
            state.unverified.remove(&self.number);
            state.used -= self.bytes;
            state.grant(&self.budget)
        };
        drop(rejected);
    }
}

impl Drop for WaitingPlace<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting.remove(&self.1);
    }
}

fn too_large() -> Problem {
    Problem::new(ProblemType::BodyTooLarge, format!("a body has at most {BODY_BYTES_MAX} bytes"))
}

fn full() -> Problem {
    Problem::new(ProblemType::BodiesFull, "too many large bodies arrive at once; send it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of the budget, in shares of the largest body.
    async fn fill(budget: &BodyBudget) -> Vec<BudgetShare> {
        let mut shares = Vec::new();
        for _ in 0..LARGE_BYTES_MAX / BODY_BYTES_MAX {
            shares.push(budget.reserve(BODY_BYTES_MAX).await.unwrap());
        }
        assert_eq!(budget.lock().used, LARGE_BYTES_MAX);
        shares
    }

    fn verify(share: &BudgetShare) -> bool {
        share.budget.lock().unverified.remove(&share.number).is_some()
    }

    #[tokio::test]
    async fn the_oldest_unverified_body_evicted_and_its_memory_is_free_first() {
        let budget = BodyBudget::default();
        let mut shares = fill(&budget).await;
        assert!(verify(&shares[0]));
        let mut newcomer = Box::pin(budget.reserve(BODY_BYTES_MAX));
        assert!(futures_util::poll!(newcomer.as_mut()).is_pending(), "nothing is free yet");
        let gone: Vec<bool> = shares.iter().map(|share| share.evicted.is_cancelled()).collect();
        assert!(gone[1] && gone.iter().filter(|it| **it).count() == 1, "{gone:?}");
        drop(shares.remove(1));
        let newcomer = newcomer.await.unwrap();
        assert_eq!(budget.lock().used, LARGE_BYTES_MAX);
        drop((shares, newcomer));
        assert_eq!(budget.lock().used, 0);
    }

    #[tokio::test]
    async fn among_those_that_wait_the_newest_is_served_first() {
        let budget = BodyBudget::default();
        let mut shares = fill(&budget).await;
        assert!(shares.iter().all(verify));
        let mut older = Box::pin(budget.reserve(BODY_BYTES_MAX));
        assert!(futures_util::poll!(older.as_mut()).is_pending());
        let mut newer = Box::pin(budget.reserve(BODY_BYTES_MAX));
        assert!(futures_util::poll!(newer.as_mut()).is_pending());
        shares.pop();
        shares.push(newer.await.unwrap());
        assert!(futures_util::poll!(older.as_mut()).is_pending());
        // A body that stops waiting leaves no entry.
        drop(older);
        assert!(budget.lock().waiting.is_empty());
        drop(shares);
        assert_eq!(budget.lock().used, 0);
    }

    #[tokio::test]
    async fn a_body_takes_exactly_its_length_of_memory() {
        let budget = BodyBudget::default();
        for length in [0, 1, 100, SMALL_BYTES_MAX, SMALL_BYTES_MAX + 1, BODY_BYTES_MAX] {
            let body = Body::from(vec![b'x'; length]);
            let received = budget.read(body).await.unwrap();
            assert_eq!((received.bytes.len(), received.bytes.capacity()), (length, length));
            assert_eq!(budget.lock().used, if length > SMALL_BYTES_MAX { length } else { 0 });
        }
        let too_large = budget.read(Body::from(vec![b'x'; BODY_BYTES_MAX + 1])).await;
        assert_eq!(too_large.unwrap_err().kind(), ProblemType::BodyTooLarge);
        assert_eq!(budget.lock().used, 0);
    }

    #[tokio::test]
    async fn a_body_of_unknown_length_is_limited_and_never_takes_more_than_the_limit() {
        let stream = |frames: usize| {
            let frames = (0..frames).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 8 * 1024]));
            Body::from_stream(futures_util::stream::iter(frames))
        };
        let budget = BodyBudget::default();
        let frames = BODY_BYTES_MAX / (8 * 1024);
        let received = budget.read(stream(frames)).await.unwrap();
        assert_eq!(
            (received.bytes.len(), received.bytes.capacity()),
            (BODY_BYTES_MAX, BODY_BYTES_MAX)
        );
        let too_large = budget.read(stream(frames + 1)).await;
        assert_eq!(too_large.unwrap_err().kind(), ProblemType::BodyTooLarge);
    }
}
