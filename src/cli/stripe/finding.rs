//! Findings of a check, one a line.

use std::io::Write;

use serde::Serialize;

use super::super::output;
use crate::visible::visible;

/// Result of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Ok,
    Warning,
    Failed,
}

/// Finding of one check.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) status: Status,
    /// Subject of the check.
    pub(super) check: &'static str,
    pub(super) message: String,
    /// Advice; none if all is well.
    pub(super) hint: Option<String>,
}

/// Output format of findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// A line for each finding.
    #[default]
    Table,
    /// One JSON document.
    Json,
}

impl Finding {
    pub(super) fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { status: Status::Ok, check, message: message.into(), hint: None }
    }

    pub(super) fn warning(
        check: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { status: Status::Warning, check, message: message.into(), hint: Some(hint.into()) }
    }

    pub(super) fn failed(
        check: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { status: Status::Failed, check, message: message.into(), hint: Some(hint.into()) }
    }

    pub(super) fn is_failed(&self) -> bool {
        self.status == Status::Failed
    }
}

/// Writes findings. Lines are not wrapped, because hints contain addresses and commands to copy.
pub(super) fn write(
    findings: &[Finding],
    format: Format,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    if format == Format::Json {
        let is_ok = !findings.iter().any(Finding::is_failed);
        return output::write_json(&serde_json::json!({ "ok": is_ok, "findings": findings }), out);
    }
    let width = findings.iter().map(|it| it.check.len()).max().unwrap_or_default();
    for Finding { status, check, message, hint } in findings {
        let status = match status {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Failed => "failed",
        };
        writeln!(out, "{status:7}  {check:width$}  {}", visible(message))?;
        if let Some(hint) = hint {
            writeln!(out, "{:7}  {:width$}  hint: {}", "", "", visible(hint))?;
        }
    }
    Ok(out.flush()?)
}
