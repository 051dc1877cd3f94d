//! How a command ends: exit statuses, and errors as a line and a hint.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use serde_json::json;

use crate::config::ConfigError;
use crate::log_output;
use crate::projector::{GenerationError, LogLost, RebuildError};
use crate::service::StartError;
use crate::store::StoreError;
use crate::visible::visible;

/// What the exit status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The answer is no: a difference was found, a subject does not exist.
    No = 1,
    /// Wrong use or configuration.
    Usage = 2,
    /// The database or another part failed.
    Failed = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error of a command's own, with what a person can do about it.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// What was asked for does not exist.
    pub(super) fn no(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
        Self { exit: Exit::No, message: message.into(), hint: Some(hint.into()) }.into()
    }

    /// The command was used in a wrong way.
    pub(super) fn usage(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
        Self { exit: Exit::Usage, message: message.into(), hint: Some(hint.into()) }.into()
    }

    /// Something failed.
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

/// Writes the error to stderr and says how to exit. A reader of stdout that went away is no error.
pub(super) fn report(error: &anyhow::Error) -> Exit {
    if is_broken_pipe(error) {
        return Exit::Done;
    }
    let (exit, hint) = judge(error);
    if log_output::is_json() {
        let line = json!({"level": "ERROR", "message": error.to_string(), "hint": hint});
        write_line(&line.to_string());
        return exit;
    }
    say(&format!("error: {error}"));
    if let Some(hint) = hint {
        say(&format!("hint: {hint}"));
    }
    exit
}

/// The result of writing to stdout, where the exit status answers a question: a reader that went away does not
/// change the answer.
pub(super) fn despite_broken_pipe(written: anyhow::Result<()>) -> anyhow::Result<()> {
    written.or_else(|error| if is_broken_pipe(&error) { Ok(()) } else { Err(error) })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|it| it.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// The first cause that knows decides.
fn judge(error: &anyhow::Error) -> (Exit, Option<String>) {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return (failure.exit, failure.hint.clone());
        }
        if let Some(config) = cause.downcast_ref::<ConfigError>() {
            return (Exit::Usage, Some(config.hint().into_owned()));
        }
        if let Some(choice) = cause.downcast_ref::<GenerationError>() {
            let exit = match choice {
                GenerationError::Store(store) => exit_of(store),
                _ => Exit::Usage,
            };
            return (exit, choice.hint().map(str::to_owned));
        }
        // Transparent, so that the chain does not show it by itself.
        if let Some(StartError::Store(store)) = cause.downcast_ref() {
            return (exit_of(store), store.hint().map(str::to_owned));
        }
        if let Some(StartError::LogLost(_)) = cause.downcast_ref() {
            return (Exit::Usage, Some(LogLost::HINT.to_owned()));
        }
        if let Some(StartError::Listen { .. }) = cause.downcast_ref() {
            let hint = "another program may use it: choose one with --listen or SUBLEDGER_LISTEN";
            return (Exit::Failed, Some(hint.to_owned()));
        }
        if let Some(StartError::Publish(_)) = cause.downcast_ref() {
            let hint = "choose another file with --checkpoint-file, or move this one away";
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

/// Writes a line for people to stderr, where hidden characters become escapes, also line breaks; as an object
/// of JSON where the log is JSON.
pub(super) fn say(line: &str) {
    if log_output::is_json() {
        write_line(&json!({"level": "INFO", "message": line}).to_string());
    } else {
        write_line(&visible(line));
    }
}

fn write_line(line: &str) {
    // Where stderr is gone there is nobody to tell.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Whether a person looks at what is said, so that progress may be drawn.
pub(super) fn person_looks() -> bool {
    io::stderr().is_terminal()
}
