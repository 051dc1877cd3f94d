//! Differences of a rebuild, written for people and for programs.

use std::io::{self, BufWriter, Stdout, Write};

use serde::Serialize;

use super::csv_cells::CellFormat;
use super::output::{Format, FormatArgs, grouped, io_error, stdout};
use super::report::print_message;
use super::{history, json};
use crate::projector::{DiffEvent, DiffSummary, Listing};
use crate::store::{
    AccessCounts, AccessEffect, ChangeKind, ChangedSubscription, FieldChange, ReadModelDiff,
};
use crate::visible::visible;

/// Greatest width of a line, in columns of a terminal.
const LINE_WIDTH_MAX: usize = 100;

/// Columns of the CSV, which has one line for each changed field of a subscription.
const COLUMNS: [&str; 10] = [
    "change",
    "access",
    "subscription_id",
    "customer_id",
    "user_id",
    "account",
    "livemode",
    "field",
    "from",
    "to",
];

/// Writer of the differences, one at a time.
pub(super) struct DiffWriter {
    format: Format,
    cells: CellFormat,
    listing: Listing,
    /// Effect on access of the last listed subscription, which is its heading.
    last_effect: Option<AccessEffect>,
    /// True once a summary was written. There is none if the generations cannot be compared.
    begun: bool,
    listed: i64,
    differing: i64,
    access_changes: (i64, i64),
    out: BufWriter<Stdout>,
    /// First error of writing. Nothing is written after it, but the rebuild continues.
    failure: Option<anyhow::Error>,
}

/// Changed subscription as JSON, and as the first columns of its CSV lines.
#[derive(Serialize)]
struct ChangeView<'a> {
    change: ChangeKind,
    access: AccessEffect,
    subscription_id: &'a str,
    customer_id: &'a str,
    user_id: Option<&'a str>,
    account: &'a str,
    livemode: bool,
    fields: &'a [FieldChange],
}

impl DiffWriter {
    pub(super) fn new(FormatArgs { format, cells }: FormatArgs, listing: Listing) -> Self {
        Self {
            format,
            cells: cells.cell_format(),
            listing,
            last_effect: None,
            begun: false,
            listed: 0,
            differing: 0,
            access_changes: (0, 0),
            out: stdout(),
            failure: None,
        }
    }

    pub(super) fn write(&mut self, difference: &DiffEvent<'_>) {
        if self.failure.is_none() {
            self.failure = self.try_write(difference).err();
        }
    }

    /// Ends the document. Returns the first error of writing.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if self.format == Format::Json {
            if !self.begun {
                write!(self.out, "{{\"summary\":null,\n\"changes\":[")?;
            }
            writeln!(self.out, "{}]}}", if self.listed > 0 { "\n" } else { "" })?;
        }
        self.out.flush()?;
        if self.format == Format::Table && self.listed < self.differing {
            print_message(
                "hint: --limit N lists the changes of N subscriptions, --format csv lists all",
            );
        }
        Ok(())
    }

    fn try_write(&mut self, difference: &DiffEvent<'_>) -> anyhow::Result<()> {
        match difference {
            DiffEvent::Summary(summary) => {
                self.begun = true;
                self.differing = if summary.live.is_some() { summary.differing() } else { 0 };
                self.access_changes = summary.access_changes();
                match self.format {
                    Format::Table => write_summary(summary, &mut self.out)?,
                    Format::Json => {
                        write!(self.out, "{{\"summary\":{},", json::to_text(summary)?)?;
                        write!(self.out, "\n\"changes\":[")?;
                    }
                    Format::Csv => {
                        print_message(&summary.to_string());
                        write_record(&COLUMNS.map(str::to_owned), &mut self.out)?;
                    }
                }
            }
            DiffEvent::Subscription(changed) => {
                match self.format {
                    Format::Table => self.write_paragraph(changed)?,
                    Format::Json => {
                        let separator = if self.listed > 0 { ",\n" } else { "\n" };
                        let view = json::to_text(&ChangeView::new(changed))?;
                        write!(self.out, "{separator}{view}")?;
                    }
                    Format::Csv => write_records(changed, self.cells, &mut self.out)?,
                }
                self.listed += 1;
            }
        }
        Ok(())
    }

    /// Writes a subscription with its changes, under a heading with the effect on access.
    fn write_paragraph(&mut self, changed: &ChangedSubscription) -> io::Result<()> {
        if self.last_effect != Some(changed.effect) {
            self.last_effect = Some(changed.effect);
            let heading = match (changed.effect, self.listing) {
                (AccessEffect::Same, _) => "Change without effect on access:".to_owned(),
                (AccessEffect::Loses, _) => heading("Lose", self.listing, self.access_changes.0),
                (AccessEffect::Gains, _) => heading("Gain", self.listing, self.access_changes.1),
            };
            writeln!(self.out, "\n{heading}")?;
        }
        let scope = &changed.customer.scope;
        let words = [
            Some(changed.subscription.to_string()),
            changed.user_id.as_ref().map(|user| format!("user {user}")),
            Some(changed.customer.customer.to_string()),
            Some(scope.account.to_string()).filter(|account| !account.is_empty()),
            (!scope.livemode).then(|| "test mode".to_owned()),
            match changed.kind {
                ChangeKind::Appears => Some("appears".to_owned()),
                ChangeKind::Disappears => Some("disappears".to_owned()),
                ChangeKind::Changes => None,
            },
        ];
        let line = format!("  {}", words.into_iter().flatten().collect::<Vec<_>>().join("  "));
        writeln!(self.out, "{}", cut(&visible(&line)))?;
        for FieldChange { field, from, to } in &changed.fields {
            let (from, to) = (history::value(from), history::value(to));
            // Lists are shown as their length and instants to the minute, so different values may look equal.
            let change = if from == to { "changed".to_owned() } else { format!("{from} -> {to}") };
            writeln!(self.out, "{}", cut(&visible(&format!("    {field}: {change}"))))?;
        }
        Ok(())
    }
}

impl<'a> ChangeView<'a> {
    fn new(changed: &'a ChangedSubscription) -> Self {
        Self {
            change: changed.kind,
            access: changed.effect,
            subscription_id: changed.subscription.as_str(),
            customer_id: changed.customer.customer.as_str(),
            user_id: changed.user_id.as_deref(),
            account: changed.customer.scope.account.as_str(),
            livemode: changed.customer.scope.livemode,
            fields: &changed.fields,
        }
    }
}

fn heading(verb: &str, listing: Listing, all: i64) -> String {
    let shown = match listing {
        Listing::Nothing => 0,
        Listing::Examples(most) | Listing::First(most) => i64::try_from(most).unwrap_or(i64::MAX),
    };
    if shown < all {
        format!("{verb} access, the first {} of {}:", grouped(shown), grouped(all))
    } else {
        format!("{verb} access:")
    }
}

/// Writes the summary for people.
fn write_summary(summary: &DiffSummary, out: &mut impl Write) -> io::Result<()> {
    let counts = &summary.counts;
    let Some(live) = summary.live else {
        let (_, with_access) = summary.access_changes();
        return writeln!(
            out,
            "No generation is live yet: all {} subscriptions are new, {} of them have access.",
            grouped(counts.appear),
            grouped(with_access)
        );
    };
    writeln!(
        out,
        "Generation {} compared with the live generation {live}, at position {} of the log.\n\
         Rules that differ: {}. Access as of {}.\n",
        summary.generation,
        grouped(summary.position.0),
        if summary.rules.is_empty() { "none".to_owned() } else { summary.rules.join(", ") },
        summary.access_at
    )?;
    writeln!(out, "SUBSCRIPTIONS")?;
    for (what, count) in [
        ("change", counts.change),
        ("appear", counts.appear),
        ("disappear", counts.disappear),
        ("stay the same", counts.same),
    ] {
        writeln!(out, "  {what:<26}{:>12}", grouped(count))?;
    }
    if counts.left_out > 0 {
        writeln!(
            out,
            "  {:<26}{:>12}  of customers with later events, which only one has folded",
            "left out",
            grouped(counts.left_out)
        )?;
    }
    writeln!(out, "\n{:<28}{:>12}{:>12}{:>12}{:>12}", "ACCESS", "BEFORE", "AFTER", "LOSE", "GAIN")?;
    write_access("live mode", counts.live_mode, out)?;
    if counts.test_mode != AccessCounts::default() {
        write_access("test mode", counts.test_mode, out)?;
    }
    if !summary.read_models.is_empty() {
        writeln!(
            out,
            "\n{:<28}{:>12}{:>12}{:>12}{:>12}",
            "OTHER READ MODELS", "CHANGE", "APPEAR", "DISAPPEAR", "SAME"
        )?;
    }
    for ReadModelDiff { read_model, appear, disappear, change, same } in &summary.read_models {
        let [change, appear, disappear, same] = [*change, *appear, *disappear, *same].map(grouped);
        writeln!(out, "  {read_model:<26}{change:>12}{appear:>12}{disappear:>12}{same:>12}")?;
    }
    if !counts.fields.is_empty() {
        writeln!(out, "\n{:<26}{:>14}", "FIELD THAT CHANGES", "SUBSCRIPTIONS")?;
        for count in &counts.fields {
            writeln!(out, "  {:<26}{:>12}", count.field, grouped(count.change))?;
        }
    }
    for (which, fields) in [
        ("new generation", summary.only_new.join(", ")),
        ("live generation", summary.only_old.join(", ")),
    ] {
        if !fields.is_empty() {
            writeln!(out, "\nOnly in the {which}, so not compared: {fields}.")?;
        }
    }
    if summary.parked_before != summary.parked_after {
        let (before, after) = (grouped(summary.parked_before), grouped(summary.parked_after));
        writeln!(out, "\nEvents that could not be folded: {before} before, {after} after.")?;
    }
    Ok(())
}

fn write_access(mode: &str, access: AccessCounts, out: &mut impl Write) -> io::Result<()> {
    let AccessCounts { before, after, lose, gain } = access;
    let [before, after, lose, gain] = [before, after, lose, gain].map(grouped);
    writeln!(out, "  {mode:<26}{before:>12}{after:>12}{lose:>12}{gain:>12}")
}

fn write_records(
    changed: &ChangedSubscription,
    cells: CellFormat,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let row = serde_json::to_value(ChangeView::new(changed))?;
    for field in &changed.fields {
        let field = serde_json::to_value(field)?;
        let written = COLUMNS
            .iter()
            .map(|column| cells.format(row.get(column).or_else(|| field.get(column))));
        write_record(&written.collect::<anyhow::Result<Vec<_>>>()?, out)?;
    }
    Ok(())
}

fn write_record(cells: &[String], out: &mut impl Write) -> anyhow::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(cells).map_err(io_error)?;
    Ok(csv.flush()?)
}

/// Cuts a line that is too long.
fn cut(line: &str) -> String {
    if line.chars().count() <= LINE_WIDTH_MAX {
        return line.to_owned();
    }
    line.chars().take(LINE_WIDTH_MAX - 1).chain(['…']).collect()
}
