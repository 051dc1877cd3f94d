//! Errors of the client. None contains a key or a body.

use std::fmt;

use serde::Deserialize;

/// Longest text of Stripe's that an error repeats.
const TEXT_BYTES_MAX: usize = 100;

/// Error of a request to Stripe's API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// 401: Stripe does not accept the key.
    #[error("Stripe does not accept the API key: it is {}{request}", if *is_expired { "expired" } else { "wrong, or was deleted" })]
    KeyRefused {
        /// True if Stripe says that the key is expired.
        is_expired: bool,
        /// Id of the request.
        request: RequestId,
    },
    /// 403: the key lacks a permission.
    #[error("the API key lacks {} for {path}{request}", permission.as_ref().map_or("a permission".to_owned(), |it| format!("the permission {it}")))]
    PermissionMissing {
        /// Name of the permission, such as `rak_subscription_read`, if Stripe says it.
        permission: Option<String>,
        /// Path of the request.
        path: String,
        /// Id of the request.
        request: RequestId,
    },
    /// The key has no access to a connected account, or the account does not exist.
    #[error(
        "the API key has no access to the account {account}, or there is no such account{request}"
    )]
    AccountRefused {
        /// Id of the account.
        account: String,
        /// Id of the request.
        request: RequestId,
    },
    /// The object does not exist, or no longer.
    #[error("Stripe has nothing at {path}{request}")]
    NotFound {
        /// Path of the request.
        path: String,
        /// Id of the request.
        request: RequestId,
    },
    /// The cursor names an object that is no longer in the list.
    #[error("the cursor is no longer in the list {path}: begin it again{request}")]
    AgedOut {
        /// Path of the request.
        path: String,
        /// Id of the request.
        request: RequestId,
    },
    /// The answer leads elsewhere. Redirects are not followed, because the key would go with them.
    #[error("{path} was answered with a redirect (status {status}), which is not followed")]
    Redirected {
        /// Path of the request.
        path: String,
        /// HTTP status.
        status: u16,
    },
    /// Stripe refuses the request for another reason.
    #[error("Stripe refuses {path}: status {status}{}{}{request}", named("code", code.as_deref()), named("parameter", param.as_deref()))]
    Refused {
        /// Path of the request.
        path: String,
        /// HTTP status.
        status: u16,
        /// Stripe's code of the error.
        code: Option<String>,
        /// Parameter that Stripe names.
        param: Option<String>,
        /// Id of the request.
        request: RequestId,
    },
    /// No attempt succeeded.
    #[error("{path} failed after {attempts} attempt{}: {reason}{request}", if *attempts == 1 { "" } else { "s" })]
    Unavailable {
        /// Path of the request.
        path: String,
        /// Number of attempts.
        attempts: u32,
        /// Reason of the last failure.
        reason: String,
        /// Id of the last request.
        request: RequestId,
    },
    /// The answer is larger than the client reads.
    #[error("the answer to {path} is larger than {} bytes", super::BODY_BYTES_MAX)]
    TooLarge {
        /// Path of the request.
        path: String,
    },
    /// The answer has no header `Date`, without which nobody knows when its objects were seen.
    #[error("the answer to {path} has no header Date{request}")]
    NoDate {
        /// Path of the request.
        path: String,
        /// Id of the request.
        request: RequestId,
    },
    /// The answer is JSON of another form than that of a list.
    #[error("the answer to {path} is no list of objects with ids{request}")]
    NotAList {
        /// Path of the request.
        path: String,
        /// Id of the request.
        request: RequestId,
    },
    /// The answer to the creation of an endpoint has no secret.
    #[error("Stripe created a webhook endpoint and did not show its secret{request}")]
    NoSecret {
        /// Id of the request.
        request: RequestId,
    },
    /// A list inside an object has more pages than the client reads.
    #[error("the list {path} has more than {pages} pages")]
    TooManyPages {
        /// Path of the list.
        path: String,
        /// Greatest number of pages.
        pages: u32,
    },
    /// The system has no certificates of authorities.
    #[error(
        "this system has no certificates of authorities, so the server of Stripe's API cannot be verified"
    )]
    NoCertificates,
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be built: {0}")]
    Client(String),
}

/// Id of a request, for Stripe's support. It is shown in brackets, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestId(pub Option<String>);

impl ApiError {
    /// True if the configuration is wrong, false if Stripe or the network failed.
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::KeyRefused { .. }
                | Self::PermissionMissing { .. }
                | Self::AccountRefused { .. }
                | Self::Redirected { .. }
                | Self::NoCertificates
        )
    }

    /// Advice for the user.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::KeyRefused { .. } => {
                "make a new key in Stripe's Dashboard (Developers, API keys) and set STRIPE_API_KEY"
            }
            Self::PermissionMissing { .. } => {
                "edit the restricted key in Stripe's Dashboard (Developers, API keys) and add the permission"
            }
            Self::AccountRefused { .. } => {
                "connect the account to the platform of the key; a restricted key also needs permissions for Connect"
            }
            Self::Redirected { .. } => "set STRIPE_API_BASE to the address that answers by itself",
            Self::Unavailable { .. } => {
                "run the command again later; status.stripe.com shows whether Stripe has problems"
            }
            Self::NoCertificates => {
                "install the package ca-certificates, or set SSL_CERT_FILE to a file with certificates"
            }
            Self::NoDate { .. } | Self::NotAList { .. } => {
                "if STRIPE_API_BASE is set, it must lead to Stripe's API, and the answers must stay unchanged"
            }
            _ => return None,
        })
    }

    /// Adds the number of attempts.
    pub(super) fn after(self, made: u32) -> Self {
        match self {
            Self::Unavailable { path, reason, request, .. } => {
                Self::Unavailable { path, attempts: made, reason, request }
            }
            other => other,
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |id| write!(f, " (request {id})"))
    }
}

fn named(name: &str, value: Option<&str>) -> String {
    value.map(|value| format!(", {name} {value}")).unwrap_or_default()
}

/// Request of an answer that is an error.
pub(super) struct Refusal<'a> {
    pub(super) path: &'a str,
    pub(super) has_cursor: bool,
    pub(super) account: Option<&'a str>,
    pub(super) status: u16,
    pub(super) request: RequestId,
    /// Header `Stripe-Rate-Limited-Reason`.
    pub(super) rate_reason: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// Error in the body of an answer.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Detail {
    code: Option<String>,
    param: Option<String>,
    message: Option<String>,
}

impl Refusal<'_> {
    /// Classifies the error.
    pub(super) fn into_error(self) -> ApiError {
        #[derive(Deserialize)]
        struct Body {
            error: Detail,
        }
        let detail = serde_json::from_slice::<Body>(self.body).map(|it| it.error);
        let Detail { code, param, message } = detail.unwrap_or_default();
        let (code, param) = (code.and_then(plain), param.and_then(plain));
        let message = message.unwrap_or_default();
        let (path, request, status) = (self.path.to_owned(), self.request, self.status);
        let is_missing = code.as_deref() == Some("resource_missing");
        let names_cursor = match param.as_deref() {
            Some("starting_after" | "ending_before") => true,
            Some(_) => false,
            None => self.has_cursor,
        };
        match (status, self.account) {
            (401, _) => {
                let is_expired = code.as_deref() == Some("api_key_expired");
                ApiError::KeyRefused { is_expired, request }
            }
            (401..=404, Some(account)) if code.as_deref() == Some("account_invalid") => {
                ApiError::AccountRefused { account: account.to_owned(), request }
            }
            (403, _) => {
                ApiError::PermissionMissing { permission: permission_in(&message), path, request }
            }
            (400, _) if message.contains("aged out") => ApiError::AgedOut { path, request },
            (400 | 404, _) if is_missing && names_cursor => ApiError::AgedOut { path, request },
            // A proxy may answer 404 as well, which says nothing about the object.
            (400 | 404, _) if is_missing => ApiError::NotFound { path, request },
            (300..=399, _) => ApiError::Redirected { path, status },
            (409 | 429 | 500.., _) => {
                let why = self.rate_reason.map(|it| format!(" ({it})")).unwrap_or_default();
                let reason = format!("status {status}{why}");
                ApiError::Unavailable { path, attempts: 1, reason, request }
            }
            _ => ApiError::Refused { path, status, code, param, request },
        }
    }
}

/// Text of Stripe's that is a plain word. Anything else is left out of errors.
pub(super) fn plain(text: String) -> Option<String> {
    let is_plain = text.len() <= TEXT_BYTES_MAX && text.chars().all(|c| c.is_ascii_graphic());
    (is_plain && !text.is_empty()).then_some(text)
}

/// Permissions that a message names: `rak_…`.
fn permission_in(message: &str) -> Option<String> {
    let words = message.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let mut names: Vec<_> = words.filter(|it| it.starts_with("rak_")).collect();
    names.dedup();
    plain(names.join(","))
}

/// Reason of a failed connection, without the address of the request.
pub(super) fn reason_of(error: reqwest::Error) -> String {
    let is_timeout = error.is_timeout();
    let error = error.without_url();
    let mut deepest: &dyn std::error::Error = &error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    if is_timeout { "no answer in time".to_owned() } else { deepest.to_string() }
}
