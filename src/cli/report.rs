//! Result of a command: exit status, error message and hint.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::json;

use crate::config::ConfigError;
use crate::log_output;
use crate::projector::{GenerationError, LogLost, RebuildError};
use crate::service::StartError;
use crate::store::StoreError;
use crate::stripe_api::{ApiError, SetupError};
use crate::visible::visible;

/// Exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command succeeded.
    Done = 0,
    /// The answer is no: a difference was found, or a subject does not exist.
    No = 1,
    /// The usage or the configuration is wrong.
    Usage = 2,
    /// The database or another part failed.
    Failed = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Error of a command, with a hint for the user.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// Creates an error with the status [`Exit::No`].
    pub(super) fn no(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
        Self { exit: Exit::No, message: message.into(), hint: Some(hint.into()) }.into()
    }

    /// Creates an error with the status [`Exit::Usage`].
    pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
        Self { exit: Exit::Usage, message: message.into(), hint: Some(hint.into()) }.into()
    }

    /// Creates an error with the status [`Exit::Failed`].
    pub(super) fn failed(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
        Self { exit: Exit::Failed, message: message.into(), hint: Some(hint.into()) }.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Writes the error to stderr and returns the exit status. A closed stdout is no error.
pub(super) fn report(error: &anyhow::Error) -> Exit {
    if is_broken_pipe(error) {
        return Exit::Done;
    }
    let (exit, hint) = classify(error);
    if log_output::is_json() {
        let line = json!({"level": "ERROR", "message": error.to_string(), "hint": hint});
        write_line(&line.to_string());
        return exit;
    }
    print_message(&format!("error: {error}"));
    if let Some(hint) = hint {
        print_message(&format!("hint: {hint}"));
    }
    exit
}

/// Ignores a closed stdout, for commands whose exit status is the answer.
pub(super) fn despite_broken_pipe(written: anyhow::Result<()>) -> anyhow::Result<()> {
    written.or_else(|error| if is_broken_pipe(&error) { Ok(()) } else { Err(error) })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|it| it.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// Status and hint of an error, from the first cause that has them.
fn classify(error: &anyhow::Error) -> (Exit, Option<String>) {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return (failure.exit, failure.hint.clone());
        }
        if let Some(config) = cause.downcast_ref::<ConfigError>() {
            return (Exit::Usage, Some(config.hint().into_owned()));
        }
        // Transparent too: it stands for the error of the key or of the client.
        if let Some(setup) = cause.downcast_ref::<SetupError>() {
            return match setup {
                SetupError::Key(key) => (Exit::Usage, Some(key.hint())),
                SetupError::Client(api) => of_api(api),
            };
        }
        if let Some(api) = cause.downcast_ref::<ApiError>() {
            return of_api(api);
        }
        if let Some(choice) = cause.downcast_ref::<GenerationError>() {
            let exit = match choice {
                GenerationError::Store(store) => exit_of(store),
                _ => Exit::Usage,
            };
            return (exit, choice.hint().map(str::to_owned));
        }
        // These errors are transparent, so that the chain does not contain the store's error itself.
        if let Some(StartError::Store(store)) = cause.downcast_ref() {
            return (exit_of(store), store.hint().map(str::to_owned));
        }
        if let Some(StartError::LogLost(_)) = cause.downcast_ref() {
            return (Exit::Usage, Some(LogLost::HINT.to_owned()));
        }
        if let Some(StartError::Listen { .. }) = cause.downcast_ref() {
            let hint = "another program may use this address: choose another with --listen or SUBLEDGER_LISTEN";
            return (Exit::Failed, Some(hint.to_owned()));
        }
        if let Some(StartError::Publish(_)) = cause.downcast_ref() {
            let hint = "choose another file with --checkpoint-file, or move this file away";
            return (Exit::Usage, Some(hint.to_owned()));
        }
        if cause.is::<LogLost>() {
            return (Exit::Usage, Some(LogLost::HINT.to_owned()));
        }
        if let Some(rebuild) = cause.downcast_ref::<RebuildError>() {
            let exit = match rebuild {
                RebuildError::Store(store) => exit_of(store),
                _ => Exit::Failed,
            };
            return (exit, rebuild.hint().map(str::to_owned));
        }
        if let Some(store) = cause.downcast_ref::<StoreError>() {
            return (exit_of(store), store.hint().map(str::to_owned));
        }
    }
    (Exit::Failed, None)
}

/// Status and hint of an error of Stripe's API.
fn of_api(error: &ApiError) -> (Exit, Option<String>) {
    let exit = if error.is_configuration() { Exit::Usage } else { Exit::Failed };
    (exit, error.hint().map(str::to_owned))
}

fn exit_of(error: &StoreError) -> Exit {
    match error {
        StoreError::NoGeneration(_) => Exit::No,
        StoreError::NoLedger { .. }
        | StoreError::FileExists { .. }
        | StoreError::NotAFile
        | StoreError::GenerationIsLive(_)
        | StoreError::GenerationIsBuilding(_) => Exit::Usage,
        _ => Exit::Failed,
    }
}

/// Writes a line for people to stderr, or a JSON object if the log is JSON. Hidden characters and line breaks are
/// escaped.
pub(super) fn print_message(line: &str) {
    if log_output::is_json() {
        write_line(&json!({"level": "INFO", "message": line}).to_string());
    } else {
        write_line(&visible(line));
    }
}

fn write_line(line: &str) {
    // A closed stderr has no reader.
    let _ = writeln!(io::stderr(), "{line}");
}

/// True if stderr is a terminal, so that progress may be drawn.
pub(super) fn is_interactive() -> bool {
    io::stderr().is_terminal()
}
