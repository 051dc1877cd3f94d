//! Errors over HTTP in the form of RFC 9457: `application/problem+json`.
//!
//! The `type` is stable and meant for programs; `detail` is meant for people. Neither contains a part of a body, a
//! secret, or a database's error message.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::AppState;
use crate::config::WEBHOOK_SECRET;
use crate::ingest::SubmitError;
use crate::store::StoreError;
use crate::stripe::envelope::EnvelopeError;
use crate::stripe::signature::{SignatureError, WrongBinding};

/// Time before a client should try again, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// Error answer.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: ProblemType,
    detail: Cow<'static, str>,
    /// True if the connection must be closed, because a body was not read.
    closing: bool,
}

macro_rules! problem_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:ident, $title:literal;)+) => {
        /// Types of problems, each with a stable name, a status code and a title.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemType { $($(#[$doc])* $variant,)+ }

        impl ProblemType {
            /// All types.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Stable name: the `type` of the answer.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Status code.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }

            /// Title, equal for all problems of this type.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }
        }
    };
}

problem_types! {
    /// The `Stripe-Signature` header is missing.
    SignatureMissing = "signature-missing", BAD_REQUEST, "No signature";
    /// The header cannot be read.
    SignatureMalformed = "signature-malformed", BAD_REQUEST, "Malformed signature header";
    /// The header has only other schemes than `v1`.
    SignatureWithoutV1 = "signature-without-v1", BAD_REQUEST, "No v1 signature";
    /// The body was signed with another secret, or changed.
    SignatureMismatch = "signature-mismatch", BAD_REQUEST, "No matching signature";
    /// The secret is bound to other events.
    SignatureWrongBinding = "signature-wrong-binding", BAD_REQUEST, "Secret bound to other events";
    /// The signature is older than the tolerance.
    SignatureTooOld = "signature-too-old", BAD_REQUEST, "Signature outside the tolerance";
    /// The signature is from the future.
    SignatureTooNew = "signature-too-new", BAD_REQUEST, "Signature outside the tolerance";
    /// The body is not UTF-8.
    NotUtf8 = "not-utf-8", BAD_REQUEST, "Not UTF-8";
    /// The body is not JSON.
    NotJson = "not-json", BAD_REQUEST, "Not JSON";
    /// The body is JSON but not an event.
    NotAnEvent = "not-an-event", BAD_REQUEST, "Not an event";
    /// The connection ended inside the body, or the framing is broken.
    BodyIncomplete = "body-incomplete", BAD_REQUEST, "Incomplete body";
    /// The body did not arrive in time.
    BodyTooSlow = "body-too-slow", REQUEST_TIMEOUT, "Body too slow";
    /// The body is larger than the limit.
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, "Body too large";
    /// The memory budget of large bodies is used up.
    BodiesFull = "bodies-full", SERVICE_UNAVAILABLE, "Too many large bodies";
    /// A query parameter is unknown or invalid.
    BadParameter = "bad-parameter", BAD_REQUEST, "Bad query parameter";
    /// The body does not ask about users or customers.
    BadQuestion = "bad-question", BAD_REQUEST, "Bad question";
    /// The question is about too much at once.
    QuestionTooLarge = "question-too-large", PAYLOAD_TOO_LARGE, "Question too large";
    /// The token is missing or wrong.
    Unauthorized = "unauthorized", UNAUTHORIZED, "Not authorized";
    /// The token lacks the right.
    Forbidden = "forbidden", FORBIDDEN, "Not allowed with this token";
    /// The path does not exist.
    NotFound = "not-found", NOT_FOUND, "No such resource";
    /// The user, customer, subscription or event does not exist.
    UnknownSubject = "unknown-subject", NOT_FOUND, "Not in the ledger";
    /// The event's row in the log is damaged.
    EventDamaged = "event-damaged", INTERNAL_SERVER_ERROR, "Event damaged";
    /// The payload was erased.
    PayloadErased = "payload-erased", GONE, "Payload erased";
    /// No signing key is configured.
    NoSigningKey = "no-signing-key", NOT_FOUND, "No signing key";
    /// The path exists, but not for this method.
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "Method not allowed";
    /// The queue before the log is full.
    QueueFull = "queue-full", SERVICE_UNAVAILABLE, "The queue is full";
    /// The log could not commit.
    LogUnavailable = "log-unavailable", SERVICE_UNAVAILABLE, "The log is unavailable";
    /// The process is shutting down.
    ShuttingDown = "shutting-down", SERVICE_UNAVAILABLE, "Shutting down";
    /// No generation of the read model is complete.
    ReadModelBuilding = "read-model-building", SERVICE_UNAVAILABLE, "The read model is being built";
    /// The live generation lacks tables or columns that the answer needs.
    ReadModelOtherVersion = "read-model-other-version", SERVICE_UNAVAILABLE,
        "The read model is of another version";
    /// The read model cannot be read, and is rebuilt.
    ReadModelDamaged = "read-model-damaged", SERVICE_UNAVAILABLE, "The read model is damaged";
    /// The ledger does not know the user or customer, and was never backfilled.
    NotCovered = "not-covered", SERVICE_UNAVAILABLE, "Not covered";
    /// A file or table of the ledger cannot be read.
    StoreDamaged = "store-damaged", SERVICE_UNAVAILABLE, "The ledger is damaged";
    /// The database did not respond.
    StoreUnavailable = "store-unavailable", SERVICE_UNAVAILABLE, "The ledger is unavailable";
    /// The answer took too long.
    TooSlow = "too-slow", SERVICE_UNAVAILABLE, "The answer took too long";
    /// Defect of this program.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Internal error";
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    /// Creates a problem with a detail for people.
    pub fn new(kind: ProblemType, detail: impl Into<Cow<'static, str>>) -> Self {
        // The rest of such a body is not read.
        let closing = matches!(
            kind,
            ProblemType::BodyTooLarge
                | ProblemType::BodyTooSlow
                | ProblemType::BodyIncomplete
                | ProblemType::BodiesFull
        );
        Self { kind, detail: detail.into(), closing }
    }

    /// Closes the connection after the answer, for a request whose body was not read.
    #[must_use]
    pub fn closing(self) -> Self {
        Self { closing: true, ..self }
    }

    /// Problem of an invalid query parameter.
    pub fn parameter(name: &str, why: impl std::fmt::Display) -> Self {
        Self::new(ProblemType::BadParameter, format!("{name}: {why}"))
    }

    /// Problem of a subject that the ledger does not know.
    pub fn unknown(what: &str) -> Self {
        Self::new(
            ProblemType::UnknownSubject,
            format!("the ledger has no such {what} in this account and mode"),
        )
    }

    /// Type of the problem.
    pub const fn kind(&self) -> ProblemType {
        self.kind
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.kind.status();
        let body = Body {
            r#type: self.kind.name(),
            title: self.kind.title(),
            status: status.as_u16(),
            detail: &self.detail,
        };
        let mut response = (status, Json(body)).into_response();
        let mut set = |name: HeaderName, value| {
            response.headers_mut().insert(name, value);
        };
        set(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.closing {
            set(header::CONNECTION, HeaderValue::from_static("close"));
        }
        match self.kind {
            ProblemType::Unauthorized => {
                set(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                set(header::RETRY_AFTER, RETRY_AFTER_SECONDS);
            }
            _ => {}
        }
        response.extensions_mut().insert(self.kind);
        response
    }
}

/// Middleware that counts every problem by its type. It is the outermost layer, so that it sees all of them.
pub(super) async fn count(State(app): State<Arc<AppState>>, response: Response) -> Response {
    if let Some(kind) = response.extensions().get::<ProblemType>() {
        app.metrics.problem(*kind);
        app.metrics.warnings.request_refused(*kind);
        match kind {
            ProblemType::ReadModelDamaged => app.store.read_model.report_damage(true),
            ProblemType::StoreDamaged => app.store.read_model.report_damage(false),
            _ => {}
        }
    }
    response
}

/// Answer to a panic of a handler. The panic hook logs the message; the client does not get it.
pub(super) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(ProblemType::Internal, "unexpected error; see the server's log").into_response()
}

impl From<SignatureError> for Problem {
    fn from(error: SignatureError) -> Self {
        let kind = match error {
            SignatureError::Missing => ProblemType::SignatureMissing,
            SignatureError::Malformed => ProblemType::SignatureMalformed,
            SignatureError::NoV1 => ProblemType::SignatureWithoutV1,
            SignatureError::NoMatch => ProblemType::SignatureMismatch,
            SignatureError::TooOld => ProblemType::SignatureTooOld,
            SignatureError::TooNew => ProblemType::SignatureTooNew,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<WrongBinding> for Problem {
    fn from(error: WrongBinding) -> Self {
        let detail = format!(
            "{error}: let the endpoint send what its secret is bound to, or correct the binding in \
             {WEBHOOK_SECRET}"
        );
        Self::new(ProblemType::SignatureWrongBinding, detail)
    }
}

impl From<EnvelopeError> for Problem {
    fn from(error: EnvelopeError) -> Self {
        let kind = match error {
            EnvelopeError::NotJson => ProblemType::NotJson,
            EnvelopeError::NotAnEvent(_) => ProblemType::NotAnEvent,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::QueueFull => {
                Self::new(ProblemType::QueueFull, "too many events are waiting; send it again")
            }
            SubmitError::Unavailable => Self::new(
                ProblemType::LogUnavailable,
                "the event could not be committed and was not stored; send it again",
            ),
            SubmitError::Closed => {
                Self::new(ProblemType::ShuttingDown, "the event was not stored; send it again")
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::ReadModelBuilding => Self::new(
                ProblemType::ReadModelBuilding,
                "no generation of the read model is complete yet; try again soon",
            ),
            error @ StoreError::OtherVersion(_) => {
                Self::new(ProblemType::ReadModelOtherVersion, error.to_string())
            }
            StoreError::Damaged(damage) => {
                tracing::error!("{damage}");
                let detail = format!("{damage}; the other events of the log can be read");
                Self::new(ProblemType::EventDamaged, detail)
            }
            error => {
                // Logged here and nowhere else; the answer to the client contains less.
                tracing::error!(error = &error as &dyn std::error::Error, "a read failed: {error}");
                if let StoreError::ReadModelDamaged(_) = error {
                    Self::new(
                        ProblemType::ReadModelDamaged,
                        "it is being rebuilt from the log; try again soon",
                    )
                } else if let StoreError::Corrupt(_) = error {
                    Self::new(
                        ProblemType::StoreDamaged,
                        "the ledger is checking the damage; try again soon",
                    )
                } else if error.is_unavailable() {
                    Self::new(
                        ProblemType::StoreUnavailable,
                        "the ledger did not respond; try again soon",
                    )
                } else {
                    Self::new(
                        ProblemType::Internal,
                        "the ledger could not be read; see the server's log",
                    )
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_type_of_its_own() {
        let mut names: Vec<&str> = ProblemType::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ProblemType::ALL.len());
    }
}
