//! A task that is watched.

use tokio::task::JoinHandle;

/// A task of the service, under a name for people.
#[derive(Debug)]
pub(super) struct Task {
    name: &'static str,
    /// True if it may end before it is stopped.
    ends_by_itself: bool,
    /// None once its end was noticed.
    handle: Option<JoinHandle<()>>,
}

impl Task {
    /// A task that runs until it is stopped.
    pub(super) fn lasting(name: &'static str, handle: JoinHandle<()>) -> Self {
        Self { name, ends_by_itself: false, handle: Some(handle) }
    }

    /// A task that may be done before it is stopped.
    pub(super) fn passing(name: &'static str, handle: JoinHandle<()>) -> Self {
        Self { name, ends_by_itself: true, handle: Some(handle) }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// True if it panicked, or ended although nobody stopped it. AccessRequest only while nobody does.
    pub(super) async fn has_failed(&mut self) -> bool {
        let Some(handle) = self.handle.take_if(|it| it.is_finished()) else { return false };
        handle.await.is_err() || !self.ends_by_itself
    }

    /// Waits for its end.
    pub(super) async fn ended(&mut self) {
        if let Some(handle) = self.handle.take()
            && let Err(error) = handle.await
        {
            tracing::error!(%error, "{} ended badly: {error}", self.name);
        }
    }
}
