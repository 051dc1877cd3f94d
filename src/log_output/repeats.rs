//! Filter of repeated lines: each warning and error is written at most once a second.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::REPEATED;
use crate::clock::{Clock, Stopwatch};

/// Interval within which the same warning or error is not written again.
const PAUSE: Duration = Duration::from_secs(1);

/// Layer that leaves out a warning or error if one of the same place in the code was written less than [`PAUSE`] ago.
/// The next one that is written is followed by the number left out.
///
/// It must be the outermost layer, so that it sees an event after its line was written.
#[derive(Debug, Default)]
pub(super) struct RepeatFilter(Mutex<HashMap<Identifier, Callsite>>);

#[derive(Debug)]
struct Callsite {
    last_written: Stopwatch,
    left_out: u64,
}

impl RepeatFilter {
    /// True if the line may be written now. Counts it otherwise.
    fn permit(&self, metadata: &Metadata<'_>) -> bool {
        if *metadata.level() > Level::WARN {
            return true;
        }
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get_mut(&metadata.callsite()) {
            Some(callsite) if callsite.last_written.elapsed() < PAUSE => {
                callsite.left_out += 1;
                REPEATED.fetch_add(1, Ordering::Relaxed);
                false
            }
            Some(callsite) => {
                callsite.last_written = Clock::stopwatch();
                true
            }
            None => {
                let first = Callsite { last_written: Clock::stopwatch(), left_out: 0 };
                seen.insert(metadata.callsite(), first);
                true
            }
        }
    }

    /// Takes the number of lines left out before this one.
    fn take(&self, metadata: &Metadata<'_>) -> u64 {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get_mut(&metadata.callsite()).map_or(0, |it| std::mem::take(&mut it.left_out))
    }
}

impl<S: Subscriber> Layer<S> for RepeatFilter {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.permit(event.metadata())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let left_out = self.take(event.metadata());
        if left_out > 0 {
            tracing::info!(left_out, "left out {left_out} lines like the previous one");
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
        let subscriber = tracing_subscriber::registry().with(format).with(RepeatFilter::default());
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..1_000 {
                tracing::error!("could not append {number}");
                tracing::info!("another {number}");
            }
            tracing::warn!("another cause");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        // A thousand lines take about a second, so that most are left out.
        let written = text.matches("could not append").count();
        assert!((1..500).contains(&written), "{written} lines");
        assert_eq!(text.matches("another cause").count(), 1);
        assert_eq!(text.matches("another ").count() - 1, 1_000);
    }
}
