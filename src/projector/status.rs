//! How far the read model is behind the log, for whoever asks.

use std::time::Duration;

use tokio::sync::watch;

use super::RebuildStatus;
use crate::clock::{Clock, Stopwatch};
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
    /// Last position of the log when it was looked at last.
    pub log_position: Position,
    /// Since when the log has been ahead without a batch being folded; none where nothing is waiting. Measured
    /// by a stopwatch, because stored times may be those of a clock that was ahead.
    pub stalled: Option<StalledSince>,
    /// How many events could not be folded.
    pub parked: i64,
    /// The rebuild that this process runs in the background.
    pub rebuilding: Option<RebuildStatus>,
}

/// A read model that has not moved since, while the log is ahead.
#[derive(Clone, Copy, Debug)]
pub struct StalledSince {
    at: Position,
    since: Stopwatch,
}

impl Status {
    /// For how many seconds the oldest unfolded event has been waiting.
    pub fn lag_seconds(&self, now: ReceivedAt) -> f64 {
        let micros = self.behind_since.map_or(0, |since| (now.0 - since.0).max(0));
        let waiting = Duration::from_micros(micros.unsigned_abs());
        waiting.max(self.stalled_for()).as_secs_f64()
    }

    /// Number of events that are not folded, as far as the log is known.
    pub fn lag_events(&self) -> i64 {
        (self.log_position.0 - self.position.0).max(0)
    }

    /// Time for which nothing was folded while the log was ahead.
    pub fn stalled_for(&self) -> Duration {
        let ahead = self.stalled.filter(|it| it.at == self.position && self.lag_events() > 0);
        ahead.map_or(Duration::ZERO, |it| it.since.elapsed())
    }

    /// Takes note of how far the log reaches.
    pub(super) fn log_reaches(&mut self, position: Position) {
        self.log_position = position;
        if self.lag_events() == 0 {
            self.stalled = None;
        } else if self.stalled.is_none_or(|it| it.at != self.position) {
            self.stalled = Some(StalledSince { at: self.position, since: Clock::stopwatch() });
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_model_stands_still_from_when_the_log_is_ahead_until_it_moves() {
        let mut status = Status { position: Position(5), ..Status::default() };
        status.log_reaches(Position(5));
        assert_eq!((status.lag_events(), status.stalled_for()), (0, Duration::ZERO));
        status.log_reaches(Position(7));
        let first = status.stalled.unwrap();
        status.log_reaches(Position(8));
        assert_eq!(status.stalled.unwrap().at, first.at, "it has stood there since");
        assert_eq!(status.lag_events(), 3);
        std::thread::sleep(Duration::from_millis(2));
        assert!(status.stalled_for() > Duration::ZERO);
        // The event was received by a clock that was ahead: the time alone says that nothing waits.
        status.behind_since = Some(ReceivedAt(i64::MAX));
        assert!(status.lag_seconds(ReceivedAt(0)) > 0.0);
        status.position = Position(6);
        assert_eq!(status.stalled_for(), Duration::ZERO, "it has moved");
        status.log_reaches(Position(8));
        assert_eq!(status.stalled.unwrap().at, Position(6));
    }
}
