//! Progress on stderr: a bar on a terminal, otherwise lines.

use std::fmt;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::output::grouped;
use super::report::{is_interactive, print_message};
use crate::projector::BuildProgress;

/// Interval between progress lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Creates a progress bar with rate and remaining time. It is hidden if stderr is not a terminal.
pub(super) fn bar(what: &'static str, total: u64) -> ProgressBar {
    if !is_interactive() {
        return ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
    }
    let template = "{msg} {wide_bar} {pos}/{len} {rate} {eta}";
    // The template is a constant. If it were invalid, the plain bar would do.
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
        // A failed write does not matter: the bar is drawn again soon.
        let _ = write!(out, "{:.0}/s", state.per_sec());
    });
    let bar = ProgressBar::new(total).with_style(style).with_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Creates a counter for what has no known end. It is hidden if stderr is not a terminal.
pub(super) fn counter(what: &'static str) -> ProgressBar {
    if !is_interactive() {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{msg} {spinner} {pos}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let counter = ProgressBar::new_spinner().with_style(style).with_message(what);
    counter.enable_steady_tick(Duration::from_millis(100));
    counter
}

/// Progress of a rebuild.
pub(super) struct RebuildProgress {
    bar: ProgressBar,
    next_line: Duration,
}

impl RebuildProgress {
    pub(super) fn new() -> Self {
        Self { bar: bar("folding", 0), next_line: LINE_EVERY }
    }

    pub(super) fn show(&mut self, now: BuildProgress) {
        let (done, total) = now.customers.map_or((now.done, now.total), |it| (it.done, it.total));
        self.bar.set_message(if now.customers.is_some() { "making rows" } else { "folding" });
        self.bar.set_length(total.unsigned_abs());
        self.bar.set_position(done.unsigned_abs());
        if !is_interactive() && now.elapsed >= self.next_line {
            self.next_line = now.elapsed + LINE_EVERY;
            print_message(&line(now));
        }
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Line with the customers done, or with the events done, their rate and the remaining time.
fn line(now: BuildProgress) -> String {
    let BuildProgress { done, total, customers, parked, elapsed, .. } = now;
    if let Some(customers) = customers {
        return customers.to_string();
    }
    let millis = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX).max(1);
    let per_second = done.saturating_mul(1_000) / millis;
    let left = (total - done) / per_second.max(1);
    format!(
        "folded {} of {} events, {} events/s, {left} s left, {parked} parked",
        grouped(done),
        grouped(total),
        grouped(per_second),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projector::CustomersDone;

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long_still() {
        let elapsed = Duration::from_secs(5);
        let now = BuildProgress {
            generation: 2,
            done: 50_000,
            total: 1_250_000,
            customers: None,
            parked: 3,
            elapsed,
        };
        let expected = "folded 50,000 of 1,250,000 events, 10,000 events/s, 120 s left, 3 parked";
        assert_eq!(line(now), expected);
        let customers = Some(CustomersDone { done: 512, total: 29_542 });
        let made = line(BuildProgress { customers, ..now });
        assert_eq!(made, "rows of 512 of 29,542 customers made");
        let begun = BuildProgress { done: 0, elapsed: Duration::ZERO, ..now };
        assert!(line(begun).starts_with("folded 0 of"));
    }
}
