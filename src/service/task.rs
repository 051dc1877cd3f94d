//! Background task of the service.

use tokio::task::JoinHandle;

/// Background task, with a name for people.
#[derive(Debug)]
pub(super) struct Task {
    name: &'static str,
    /// True if the task may end before the service is stopped.
    may_end: bool,
    /// None once the end of the task was seen.
    handle: Option<JoinHandle<()>>,
}

impl Task {
    /// Creates a task that runs until the service is stopped.
    pub(super) fn permanent(name: &'static str, handle: JoinHandle<()>) -> Self {
        Self { name, may_end: false, handle: Some(handle) }
    }

    /// Creates a task that may end before the service is stopped.
    pub(super) fn finite(name: &'static str, handle: JoinHandle<()>) -> Self {
        Self { name, may_end: true, handle: Some(handle) }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// True if the task panicked, or ended too early. Only called while the service runs.
    pub(super) async fn has_failed(&mut self) -> bool {
        let Some(handle) = self.handle.take_if(|it| it.is_finished()) else { return false };
        handle.await.is_err() || !self.may_end
    }

    /// Waits until the task ends.
    pub(super) async fn join(&mut self) {
        if let Some(handle) = self.handle.take()
            && let Err(error) = handle.await
        {
            tracing::error!(%error, "{} failed: {error}", self.name);
        }
    }
}
