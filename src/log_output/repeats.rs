//! Filter of repeated lines: of each warning and error, one a second.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::REPEATED;
use crate::clock::{Clock, Stopwatch};

/// Time that has to pass before the same warning or error is written again.
const PAUSE: Duration = Duration::from_secs(1);

/// Layer that leaves out warnings and errors which stand at the same place in the code as one that was
/// written less than [`PAUSE`] ago. The next one that is written is followed by the number left out.
///
/// It must be the outermost layer, so that it sees an event after the line was written.
#[derive(Debug, Default)]
pub(super) struct Repeats(Mutex<HashMap<Identifier, Repeated>>);

#[derive(Debug)]
struct Repeated {
    written: Stopwatch,
    left_out: u64,
}

impl Repeats {
    /// True if the line is written now; counts it if not.
    fn permit(&self, metadata: &Metadata<'_>) -> bool {
        if *metadata.level() > Level::WARN {
            return true;
        }
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get_mut(&metadata.callsite()) {
            Some(repeated) if repeated.written.elapsed() < PAUSE => {
                repeated.left_out += 1;
                REPEATED.fetch_add(1, Ordering::Relaxed);
                false
            }
            Some(repeated) => {
                repeated.written = Clock::stopwatch();
                true
            }
            None => {
                let first = Repeated { written: Clock::stopwatch(), left_out: 0 };
                seen.insert(metadata.callsite(), first);
                true
            }
        }
    }

    /// Number of lines left out before this one; starts to count anew.
    fn take(&self, metadata: &Metadata<'_>) -> u64 {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get_mut(&metadata.callsite()).map_or(0, |it| std::mem::take(&mut it.left_out))
    }
}

impl<S: Subscriber> Layer<S> for Repeats {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.permit(event.metadata())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let left_out = self.take(event.metadata());
        if left_out > 0 {
            tracing::info!(left_out, "{left_out} lines like the last one were left out");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn of_one_cause_one_line_is_written_and_the_others_are_counted() {
        let lines = Lines::default();
        let to = lines.clone();
        let format = tracing_subscriber::fmt::layer().with_writer(move || to.clone());
        let subscriber = tracing_subscriber::registry().with(format).with(Repeats::default());
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..1_000 {
                tracing::error!("could not append {number}");
                tracing::info!("another {number}");
            }
            tracing::warn!("another cause");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        // A thousand lines take less than a second, or a few: what counts is that most are left out.
        let written = text.matches("could not append").count();
        assert!((1..500).contains(&written), "{written} lines");
        assert_eq!(text.matches("another cause").count(), 1);
        assert_eq!(text.matches("another ").count() - 1, 1_000);
    }
}
