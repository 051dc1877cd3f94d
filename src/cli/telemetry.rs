//! Logging of the commands to stderr, filtered by `SUBLEDGER_LOG`, as text or JSON.

use std::io::{self, IsTerminal as _};

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;

use super::report::Failure;
use crate::log_output::{self, LogFormat};

/// Environment variable of the filter.
const LOG: &str = "SUBLEDGER_LOG";
/// Environment variable of the format.
const LOG_FORMAT: &str = "SUBLEDGER_LOG_FORMAT";

/// Starts logging, with `default` as the filter if none is set. Keep the guard until the end.
pub(super) fn start(default: &str) -> anyhow::Result<WorkerGuard> {
    let variable = |name| std::env::var(name).ok().filter(|text: &String| !text.is_empty());
    let directives = variable(LOG).unwrap_or_else(|| default.to_owned());
    let filter = EnvFilter::try_new(&directives).map_err(|error| {
        Failure::usage(
            format!("{LOG} cannot be used: {error}"),
            "for example SUBLEDGER_LOG=info or SUBLEDGER_LOG=subledger=debug",
        )
    })?;
    let colours = io::stderr().is_terminal() && variable("NO_COLOR").is_none();
    let format = match variable(LOG_FORMAT).as_deref() {
        None | Some("text") => LogFormat::Text { colours },
        Some("json") => LogFormat::Json,
        Some(other) => {
            return Err(Failure::usage(
                format!("{LOG_FORMAT} cannot be {other:?}"),
                "expected text or json",
            ));
        }
    };
    Ok(log_output::start(filter, format))
}
