//! Logging: to stderr, filtered by `SUBLEDGER_LOG`, as text or JSON.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use super::report::Failure;

/// The filter's environment variable.
const LOG: &str = "SUBLEDGER_LOG";
/// The format's.
const LOG_FORMAT: &str = "SUBLEDGER_LOG_FORMAT";

/// Starts logging; `default` is the filter where none is set.
pub(super) fn start(default: &str) -> anyhow::Result<()> {
    let variable = |name| std::env::var(name).ok().filter(|text: &String| !text.is_empty());
    let directives = variable(LOG).unwrap_or_else(|| default.to_owned());
    let filter = EnvFilter::try_new(&directives).map_err(|error| {
        Failure::usage(
            format!("{LOG} cannot be used: {error}"),
            "for example SUBLEDGER_LOG=info or SUBLEDGER_LOG=subledger=debug",
        )
    })?;
    let colours = io::stderr().is_terminal() && variable("NO_COLOR").is_none();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(colours)
        .with_target(false);
    // A second start, as in a test, leaves the first as it is.
    let _ = match variable(LOG_FORMAT).as_deref() {
        None | Some("text") => subscriber.try_init(),
        Some("json") => subscriber.json().flatten_event(true).try_init(),
        Some(other) => {
            return Err(Failure::usage(
                format!("{LOG_FORMAT} cannot be {other:?}"),
                "it is text or json",
            ));
        }
    };
    Ok(())
}
