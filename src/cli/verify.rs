//! `verify`: checks the log, the databases, and the read model against a new fold.

use std::path::PathBuf;

use super::log::KeyArgs;
use super::output::{self, Format, FormatArgs, stdout};
use super::report::{Exit, despite_broken_pipe};
use super::{Context, progress};
use crate::audit::{self, VerifyReport};
use crate::config::WebhookSecrets;
use crate::store::OpenMode;
use crate::stripe::signature::Verifier;
use crate::visible::visible;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Also check the stored signatures, with the secrets of `STRIPE_WEBHOOK_SECRET` and their bindings
    #[arg(long)]
    signatures: bool,

    /// Check that the log continues this signed checkpoint; may be given several times
    #[arg(long = "checkpoint", value_name = "FILE", requires = "key")]
    checkpoints: Vec<PathBuf>,

    #[command(flatten)]
    key: KeyArgs,

    #[command(flatten)]
    format: FormatArgs,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let verifier = if args.signatures {
        // An old delivery is as valid as a new one.
        Some(Verifier::bound(WebhookSecrets::from_env()?.expose(), None))
    } else {
        None
    };
    let mut checkpoints = Vec::new();
    for path in &args.checkpoints {
        checkpoints.push(args.key.open(path)?);
    }
    let store = context.open(OpenMode::ReadOnly).await?;
    let bar = progress::bar("verifying", 0);
    let report = audit::verify_against(&store, verifier.as_ref(), &checkpoints, |progress| {
        bar.set_length(progress.total.unsigned_abs());
        bar.set_position(progress.done.unsigned_abs());
    })
    .await;
    bar.finish_and_clear();
    store.close().await;
    let report = report?;
    despite_broken_pipe(write(&report, args.format))?;
    Ok(if report.is_clean() { Exit::Done } else { Exit::No })
}

fn write(report: &VerifyReport, FormatArgs { format, cells }: FormatArgs) -> anyhow::Result<()> {
    let mut out = stdout();
    match format {
        Format::Table => Ok(write_text(report, &mut out)?),
        Format::Json => output::write_json(report, &mut out),
        Format::Csv => {
            output::write_csv(&["position", "message"], &report.findings, cells, &mut out)
        }
    }
}

fn write_text(report: &VerifyReport, out: &mut impl std::io::Write) -> std::io::Result<()> {
    let root = if report.root.is_empty() {
        "root unknown, because events cannot be read"
    } else {
        &format!("root {}", report.root)
    };
    writeln!(out, "log         {} events, {root}", report.events)?;
    if report.unreadable > 0 {
        writeln!(out, "damaged     {} events cannot be read", report.unreadable)?;
    }
    writeln!(out, "ids         {} distinct", report.ids)?;
    if let Some(signatures) = report.signatures {
        match report.signatures_erased.unwrap_or_default() {
            0 => writeln!(out, "signatures  {signatures} checked")?,
            erased => writeln!(
                out,
                "signatures  {signatures} checked, {erased} erased with their events and cannot be checked"
            )?,
        }
    }
    if report.checkpoints > 0 {
        writeln!(out, "checkpoints {} compared", report.checkpoints)?;
    }
    match report.rows {
        Some(rows) => writeln!(out, "read model  {rows} rows compared with a fresh fold")?,
        None => writeln!(out, "read model  none is complete")?,
    }
    for note in &report.notes {
        writeln!(out, "note        {}", visible(note))?;
    }
    for finding in &report.findings {
        match finding.position {
            Some(position) => writeln!(out, "  at {position}: {}", visible(&finding.message))?,
            None => writeln!(out, "  {}", visible(&finding.message))?,
        }
    }
    match report.differences {
        0 => writeln!(out, "no difference")?,
        differences => writeln!(out, "{differences} differences")?,
    }
    out.flush()
}
