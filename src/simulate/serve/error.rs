//! Errors as Stripe answers them.

use axum::http::StatusCode;
use serde_json::{Value, json};

/// Error answer.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    message: String,
    param: Option<String>,
    /// Further headers.
    pub(super) headers: Vec<(&'static str, String)>,
}

impl ApiError {
    /// Error of a status code.
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let kind = if status.is_server_error() { "api_error" } else { "invalid_request_error" };
        Self { status, kind, code: None, message: message.into(), param: None, headers: Vec::new() }
    }

    /// 400: a parameter or the request is wrong.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400: not an integer, or not within its limits.
    pub(super) fn integer(param: &str, message: impl Into<String>) -> Self {
        Self::invalid(message).code("parameter_invalid_integer").param(param)
    }

    /// 404: no such object.
    pub(super) fn missing(noun: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("No such {noun}: '{id}'"))
            .code("resource_missing")
            .param("id")
    }

    /// Error with a code.
    pub(super) const fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Error of a parameter.
    pub(super) fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Error with a further header.
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Body.
    pub(super) fn body(&self) -> String {
        let mut error = json!({ "message": self.message, "type": self.kind });
        if let Some(code) = self.code {
            error["code"] = code.into();
            let page = code.replace('_', "-");
            error["doc_url"] = format!("https://stripe.com/docs/error-codes/{page}").into();
        }
        if let Some(param) = &self.param {
            error["param"] = Value::from(param.as_str());
        }
        format!("{:#}", json!({ "error": error }))
    }
}
