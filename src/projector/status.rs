//! Status of the follower: how far the read model is behind the log.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::progress::RebuildStatus;
use crate::clock::{Clock, Stopwatch};
use crate::ids::Position;
use crate::projection::Logic;
use crate::store::GenerationId;
use crate::time::ReceivedAt;

/// Activity of the follower of this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FollowerState {
    /// It has not started yet.
    #[default]
    Starting,
    /// No generation is live: one is being built.
    Building,
    /// It folds new events.
    Following,
    /// Another process folds.
    Standby,
    /// The live generation was built with logic that this program does not have, so this process does not fold it.
    Frozen,
    /// The last attempt failed and will be repeated. The program's log has the reason.
    Failing,
    /// It ended on request.
    Stopped,
}

/// Status of the follower.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Its activity.
    pub state: FollowerState,
    /// Live generation, if there is one.
    pub generation: Option<GenerationId>,
    /// Fingerprint of that generation's logic.
    pub fingerprint: String,
    /// Position of the last event that it has folded.
    pub position: Position,
    /// Time of receipt of the first event that is not folded; none if no event waits.
    pub behind_since: Option<ReceivedAt>,
    /// Last position of the log when it was last read.
    pub log_position: Position,
    /// Start of the present stall: the log is ahead and no batch was folded since. None if no event waits. Measured by a
    /// stopwatch, because stored times may come from a clock that was ahead.
    pub stalled: Option<StalledSince>,
    /// Number of parked events.
    pub parked: i64,
    /// Number of customers whose rows cannot be made, once for each read model.
    pub parked_customers: i64,
    /// Rebuild that this process runs in the background.
    pub rebuilding: Option<RebuildStatus>,
}

/// Start of a stall: the position of the read model, and the time since it last moved.
#[derive(Clone, Copy, Debug)]
pub struct StalledSince {
    at: Position,
    since: Stopwatch,
}

impl Status {
    /// Time for which the oldest event that is not folded has been waiting, in seconds.
    pub fn lag_seconds(&self, now: ReceivedAt) -> f64 {
        let micros = self.behind_since.map_or(0, |since| (now.0 - since.0).max(0));
        let waiting = Duration::from_micros(micros.unsigned_abs());
        waiting.max(self.stalled_for()).as_secs_f64()
    }

    /// Number of events that are not folded, by the last known end of the log.
    pub fn lag_events(&self) -> i64 {
        (self.log_position.0 - self.position.0).max(0)
    }

    /// Duration of the present stall; zero if there is none.
    pub fn stalled_for(&self) -> Duration {
        let ahead = self.stalled.filter(|it| it.at == self.position && self.lag_events() > 0);
        ahead.map_or(Duration::ZERO, |it| it.since.elapsed())
    }

    /// Records the end of the log.
    pub(super) fn set_log_position(&mut self, position: Position) {
        self.log_position = position;
        if self.lag_events() == 0 {
            self.stalled = None;
        } else if self.stalled.is_none_or(|it| it.at != self.position) {
            self.stalled = Some(StalledSince { at: self.position, since: Clock::stopwatch() });
        }
    }
}

/// Handle to read the status that the follower writes.
#[derive(Clone, Debug)]
pub struct ProjectorHandle {
    status: watch::Receiver<Status>,
    logic: Arc<Logic>,
}

impl ProjectorHandle {
    pub(super) fn new(status: &watch::Sender<Status>, logic: Logic) -> Self {
        Self { status: status.subscribe(), logic: Arc::new(logic) }
    }

    /// Logic that the follower was started with. The live generation may have been built with another.
    pub fn logic(&self) -> &Logic {
        &self.logic
    }

    /// Present status.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Waits until the live generation has folded this position and this process builds no other, or the follower has
    /// ended.
    pub async fn reached(&mut self, position: Position) -> Status {
        let there = |status: &Status| {
            let folded = status.position >= position && status.rebuilding.is_none();
            folded || status.state == FollowerState::Stopped
        };
        // An error means that the follower is gone; its last status stays.
        let _ = self.status.wait_for(there).await;
        self.status()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_model_stands_still_from_when_the_log_is_ahead_until_it_moves() {
        let mut status = Status { position: Position(5), ..Status::default() };
        status.set_log_position(Position(5));
        assert_eq!((status.lag_events(), status.stalled_for()), (0, Duration::ZERO));
        status.set_log_position(Position(7));
        let first = status.stalled.unwrap();
        status.set_log_position(Position(8));
        assert_eq!(status.stalled.unwrap().at, first.at, "it has stood there since");
        assert_eq!(status.lag_events(), 3);
        std::thread::sleep(Duration::from_millis(2));
        assert!(status.stalled_for() > Duration::ZERO);
        // The event was received by a clock that was ahead: the time alone says that nothing waits.
        status.behind_since = Some(ReceivedAt(i64::MAX));
        assert!(status.lag_seconds(ReceivedAt(0)) > 0.0);
        status.position = Position(6);
        assert_eq!(status.stalled_for(), Duration::ZERO, "it has moved");
        status.set_log_position(Position(8));
        assert_eq!(status.stalled.unwrap().at, Position(6));
    }
}
