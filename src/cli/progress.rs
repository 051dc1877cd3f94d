//! Progress, drawn on stderr where a person looks at it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::report::person_looks;

/// A bar with rate and time left; nothing where stderr is not a terminal.
pub(super) fn bar(what: &'static str, total: u64) -> ProgressBar {
    if !person_looks() {
        return ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
    }
    let template = "{msg} {wide_bar} {pos}/{len} {per_sec} {eta}";
    // The template is a constant; were it wrong, the plain bar would do.
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(total).with_style(style).with_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
