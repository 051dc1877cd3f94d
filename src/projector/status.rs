//! How far the read model is behind the log, for whoever asks.

use tokio::sync::watch;

use super::Rebuilding;
use crate::ids::Position;
use crate::store::GenerationId;
use crate::time::ReceivedAt;

/// What the follower of this process is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FollowerState {
    /// Nothing yet.
    #[default]
    Starting,
    /// No generation is live: one is being made.
    Building,
    /// Folding what arrives.
    Following,
    /// Another process folds.
    Standby,
    /// The live generation was made by logic that this program does not have: nobody folds it here.
    Frozen,
    /// The last attempt failed, and it will be tried again; the server's log says why.
    Failing,
    /// Ended on request.
    Stopped,
}

/// A moment of the follower.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// What it is doing.
    pub state: FollowerState,
    /// The live generation, where there is one.
    pub generation: Option<GenerationId>,
    /// That generation's fingerprint.
    pub fingerprint: String,
    /// How far that generation has folded.
    pub position: Position,
    /// When the first event that is not folded reached us; none when nothing is waiting.
    pub behind_since: Option<ReceivedAt>,
    /// How many events could not be folded.
    pub parked: i64,
    /// The rebuild that this process runs in the background.
    pub rebuilding: Option<Rebuilding>,
}

impl Status {
    /// For how many seconds the oldest unfolded event has been waiting.
    pub fn lag_seconds(&self, now: ReceivedAt) -> f64 {
        let micros = self.behind_since.map_or(0, |since| (now.0 - since.0).max(0));
        std::time::Duration::from_micros(micros.unsigned_abs()).as_secs_f64()
    }
}

/// The status, written by the follower and watched by whoever asks.
#[derive(Clone, Debug)]
pub struct ProjectorHandle(watch::Receiver<Status>);

impl ProjectorHandle {
    pub(super) fn new(status: &watch::Sender<Status>) -> Self {
        Self(status.subscribe())
    }

    /// How the follower is doing now.
    pub fn status(&self) -> Status {
        self.0.borrow().clone()
    }

    /// Waits until the live generation has folded this position and no other is being made by this
    /// process, or the follower has ended.
    pub async fn reached(&mut self, position: Position) -> Status {
        let there = |status: &Status| {
            let folded = status.position >= position && status.rebuilding.is_none();
            folded || status.state == FollowerState::Stopped
        };
        // An error means that the follower is gone; its last word stands.
        let _ = self.0.wait_for(there).await;
        self.status()
    }
}
