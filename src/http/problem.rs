//! Errors over HTTP, as RFC 9457 has them: `application/problem+json`.
//!
//! The `type` is stable and for programs; `detail` is for people. Neither ever holds a part of a
//! body, a secret, or a database's words.

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

/// How long a client should wait before it tries again, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// An answer that is not the one that was asked for.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: ProblemType,
    detail: Cow<'static, str>,
    /// True if the connection is to be closed, because a body was not read.
    closing: bool,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:ident, $title:literal;)+) => {
        /// What kinds of problems there are. Each has its stable `type`, its status, its title.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ProblemType { $($(#[$doc])* $variant,)+ }

        impl ProblemType {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The `type`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The status.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }

            /// The title: the same for every problem of this kind.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }
        }
    };
}

kinds! {
    /// There is no `Stripe-Signature` header.
    SignatureMissing = "signature-missing", BAD_REQUEST, "No signature";
    /// The header cannot be read.
    SignatureMalformed = "signature-malformed", BAD_REQUEST, "Malformed signature header";
    /// The header has other schemes alone.
    SignatureWithoutV1 = "signature-without-v1", BAD_REQUEST, "No v1 signature";
    /// Signed with another secret, or over other bytes.
    SignatureMismatch = "signature-mismatch", BAD_REQUEST, "No matching signature";
    /// Signed with a secret that may not vouch for such events.
    SignatureWrongBinding = "signature-wrong-binding", BAD_REQUEST, "Secret bound to other events";
    /// Signed too long ago.
    SignatureTooOld = "signature-too-old", BAD_REQUEST, "Signature outside the tolerance";
    /// Signed in the future.
    SignatureTooNew = "signature-too-new", BAD_REQUEST, "Signature outside the tolerance";
    /// JSON is UTF-8, and this is not.
    NotUtf8 = "not-utf-8", BAD_REQUEST, "Not UTF-8";
    /// Not JSON.
    NotJson = "not-json", BAD_REQUEST, "Not JSON";
    /// JSON, but no event.
    NotAnEvent = "not-an-event", BAD_REQUEST, "Not an event";
    /// The connection ended inside the body, or its framing is broken.
    BodyIncomplete = "body-incomplete", BAD_REQUEST, "Incomplete body";
    /// The body did not arrive in time.
    BodyTooSlow = "body-too-slow", REQUEST_TIMEOUT, "Body too slow";
    /// More than the limit.
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, "Body too large";
    /// The large bodies that are being received use up their budget.
    BodiesFull = "bodies-full", SERVICE_UNAVAILABLE, "Too many large bodies";
    /// A query parameter that is unknown or cannot be read.
    BadParameter = "bad-parameter", BAD_REQUEST, "Bad query parameter";
    /// No token, or a wrong one.
    Unauthorized = "unauthorized", UNAUTHORIZED, "Not authorized";
    /// A token that may not ask this.
    Forbidden = "forbidden", FORBIDDEN, "Not allowed with this token";
    /// No such route.
    NotFound = "not-found", NOT_FOUND, "No such resource";
    /// No such user, customer, subscription or event.
    UnknownSubject = "unknown-subject", NOT_FOUND, "Not in the ledger";
    /// Its row in the log is damaged.
    EventDamaged = "event-damaged", INTERNAL_SERVER_ERROR, "Event damaged";
    /// The payload was erased on purpose.
    PayloadErased = "payload-erased", GONE, "Payload erased";
    /// No key is set that could sign.
    NoSigningKey = "no-signing-key", NOT_FOUND, "No signing key";
    /// The route exists, for other methods.
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "Method not allowed";
    /// More events are waiting for their commit than the queue holds.
    QueueFull = "queue-full", SERVICE_UNAVAILABLE, "The queue is full";
    /// The log could not commit.
    LogUnavailable = "log-unavailable", SERVICE_UNAVAILABLE, "The log is unavailable";
    /// The process is about to end.
    ShuttingDown = "shutting-down", SERVICE_UNAVAILABLE, "Shutting down";
    /// No generation of the read model is complete.
    ReadModelBuilding = "read-model-building", SERVICE_UNAVAILABLE, "The read model is being built";
    /// The live generation lacks what the answer needs.
    ReadModelOtherVersion = "read-model-other-version", SERVICE_UNAVAILABLE,
        "The read model is of another version";
    /// The read model cannot be read, and is made again.
    ReadModelDamaged = "read-model-damaged", SERVICE_UNAVAILABLE, "The read model is damaged";
    /// A file or table of the ledger cannot be read.
    StoreDamaged = "store-damaged", SERVICE_UNAVAILABLE, "The ledger is damaged";
    /// The database did not answer.
    StoreUnavailable = "store-unavailable", SERVICE_UNAVAILABLE, "The ledger is unavailable";
    /// The answer took too long to make.
    TooSlow = "too-slow", SERVICE_UNAVAILABLE, "The answer took too long";
    /// A defect of this program.
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
    /// A problem and what to say about it.
    pub fn new(kind: ProblemType, detail: impl Into<Cow<'static, str>>) -> Self {
        // What is left of such a body is not worth reading.
        let closing = matches!(
            kind,
            ProblemType::BodyTooLarge
                | ProblemType::BodyTooSlow
                | ProblemType::BodyIncomplete
                | ProblemType::BodiesFull
        );
        Self { kind, detail: detail.into(), closing }
    }

    /// The same, for a request whose body was not read: the connection is closed after the answer.
    #[must_use]
    pub fn closing(self) -> Self {
        Self { closing: true, ..self }
    }

    /// A query parameter that cannot be used, by its name.
    pub fn parameter(name: &str, why: impl std::fmt::Display) -> Self {
        Self::new(ProblemType::BadParameter, format!("{name}: {why}"))
    }

    /// Something that the ledger does not know.
    pub fn unknown(what: &str) -> Self {
        Self::new(ProblemType::UnknownSubject, format!("the ledger knows no such {what} here"))
    }

    /// Which kind it is.
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
                set(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
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

/// Counts every problem by its type. The outermost layer, so that none escapes it.
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

/// The answer to a panic: a defect, logged with its message by the panic hook, not shown.
pub(super) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(ProblemType::Internal, "an unexpected error; the log of the server says more")
        .into_response()
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
    fn from(refused: SubmitError) -> Self {
        match refused {
            SubmitError::QueueFull => Self::new(
                ProblemType::QueueFull,
                "too many events wait for their commit; send it again",
            ),
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
                "no generation of the read model is complete yet; ask again soon",
            ),
            error @ StoreError::OtherVersion(_) => {
                Self::new(ProblemType::ReadModelOtherVersion, error.to_string())
            }
            StoreError::Damaged(damage) => {
                tracing::error!("{damage}");
                let detail = format!("{damage}; what stands beside it in the log can be read");
                Self::new(ProblemType::EventDamaged, detail)
            }
            error => {
                // The one place that logs it: the answer is for outside and says less.
                tracing::error!(error = &error as &dyn std::error::Error, "a read failed: {error}");
                if let StoreError::ReadModelDamaged(_) = error {
                    Self::new(
                        ProblemType::ReadModelDamaged,
                        "it is made again from the log; ask again soon",
                    )
                } else if let StoreError::Corrupt(_) = error {
                    Self::new(
                        ProblemType::StoreDamaged,
                        "the ledger looks at the damage; ask again soon",
                    )
                } else if error.is_unavailable() {
                    Self::new(
                        ProblemType::StoreUnavailable,
                        "the ledger did not answer; ask again soon",
                    )
                } else {
                    Self::new(
                        ProblemType::Internal,
                        "the ledger could not be read; its log says more",
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
