//! Reports of a reconciliation, written for people and for programs.

use std::io::{self, Write};

use serde::Serialize;

use crate::cli::history;
use crate::cli::output::{
    self, Format, FormatArgs, add_row, grouped, line_width, stdout, table, wrap,
};
use crate::cli::report::print_message;
use crate::ids::AccountId;
use crate::reconcile::{Class, Difference, FieldDifference, Healing, MonthlyAmount, Report};
use crate::visible::visible;

/// Columns of the CSV, which has one line for each field of a difference.
const COLUMNS: [&str; 15] = [
    "account",
    "livemode",
    "subscription_id",
    "customer_id",
    "user_id",
    "class",
    "is_drift",
    "reason",
    "events",
    "access_before",
    "access_after",
    "is_healed",
    "field",
    "ledger",
    "stripe",
];

/// Writes the reports to stdout.
pub(super) fn write(reports: &[Report], format: FormatArgs, limit: usize) -> anyhow::Result<()> {
    let mut out = stdout();
    match format.format {
        Format::Json => output::write_json(&serde_json::json!({ "data": reports }), &mut out)?,
        Format::Csv => {
            let lines = reports
                .iter()
                .flat_map(|report| report.differences.iter().flat_map(|it| Line::of(report, it)));
            output::write_csv(&COLUMNS, lines, format.cells, &mut out)?;
        }
        Format::Table => {
            for report in reports {
                write_report(report, limit, &mut out)?;
            }
            out.flush()?;
        }
    }
    Ok(())
}

/// Line of the CSV.
#[derive(Serialize)]
struct Line<'a> {
    account: &'a AccountId,
    livemode: bool,
    #[serde(flatten)]
    difference: &'a Difference,
    #[serde(flatten)]
    field: &'a FieldDifference,
}

impl<'a> Line<'a> {
    fn of(report: &'a Report, difference: &'a Difference) -> impl Iterator<Item = Self> {
        let Report { account, livemode, .. } = report;
        let fields = difference.fields.iter();
        fields.map(move |field| Self { account, livemode: *livemode, difference, field })
    }
}

fn count(number: u64) -> String {
    grouped(i64::try_from(number).unwrap_or(i64::MAX))
}

fn write_report(report: &Report, limit: usize, out: &mut impl Write) -> anyhow::Result<()> {
    write_findings(report, limit, out)?;
    if report.differences.len() > limit {
        print_message("hint: --limit N lists more differences, --format csv lists all");
    }
    write_end(report, out)
}

/// Writes the result, and as many differences in detail.
pub(in crate::cli) fn write_findings(
    report: &Report,
    limit: usize,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    write_lines(out, "", &headline(report))?;
    if !report.classes.is_empty() {
        writeln!(out)?;
        let mut classes = table(&["difference", "subscriptions", "drift"]);
        for class in Class::ALL {
            if let Some(number) = report.classes.get(&class) {
                let is_drift = if class.is_drift() { "yes" } else { "no" };
                add_row(&mut classes, [class.as_str(), &count(*number), is_drift]);
            }
        }
        output::write_table(&classes, out)?;
    }
    if report.lose_access + report.gain_access > 0 {
        writeln!(out)?;
        let mut access = table(&["access if healed", "subscriptions", "amount a month"]);
        let rows = [
            ("lose", report.lose_access, &report.amount_lost),
            ("gain", report.gain_access, &report.amount_gained),
        ];
        for (verb, number, amount) in rows {
            add_row(&mut access, [verb, &count(number), &money(amount)]);
        }
        output::write_table(&access, out)?;
    }
    let mut differences: Vec<&Difference> = report.differences.iter().collect();
    differences.sort_by_key(|it| (!it.is_drift, it.class));
    for difference in differences.iter().take(limit) {
        writeln!(out)?;
        write_difference(difference, out)?;
    }
    Ok(())
}

/// Sentence with the result.
fn headline(report: &Report) -> String {
    let Report { account, livemode, compared, differing, drift, .. } = report;
    let account = if account.as_str().is_empty() { "own account" } else { account.as_str() };
    let mode = if *livemode { "live mode" } else { "test mode" };
    let compared = count(*compared);
    match (differing, drift) {
        (0, _) => format!("{account}, {mode}: all {compared} subscriptions agree with Stripe."),
        (differing, 0) => format!(
            "{account}, {mode}: the ledger agrees with Stripe. {} of {compared} subscriptions differ and are no drift.",
            count(*differing)
        ),
        (differing, drift) => format!(
            "{account}, {mode}: {} of {compared} subscriptions differ from Stripe, {} of them are drift.",
            count(*differing),
            count(*drift)
        ),
    }
}

/// Amounts in minor units.
fn money(amount: &MonthlyAmount) -> String {
    let MonthlyAmount { by_currency, items_without_amount } = amount;
    let mut words: Vec<String> = by_currency
        .iter()
        .map(|(currency, amount)| format!("{} {currency} (minor units)", grouped(*amount)))
        .collect();
    if *items_without_amount > 0 {
        words.push(format!("{} items of unknown amount", count(*items_without_amount)));
    }
    if words.is_empty() { "-".to_owned() } else { words.join(", ") }
}

fn write_difference(difference: &Difference, out: &mut impl Write) -> io::Result<()> {
    let access = match (difference.access_before, difference.access_after) {
        (true, true) => "has access",
        (false, false) => "has no access",
        (true, false) => "loses access if healed",
        (false, true) => "gains access if healed",
    };
    let user = difference.user_id.as_ref().map(|user| format!("user {user}"));
    let healed = difference.is_healed.map(|it| if it { "healed" } else { "not healed" });
    let words = [
        Some(difference.subscription_id.to_string()),
        Some(difference.customer_id.to_string()),
        user,
        Some(access.to_owned()),
        healed.map(str::to_owned),
    ];
    write_lines(out, "", &words.into_iter().flatten().collect::<Vec<_>>().join("  "))?;
    let reason = format!("{}: {}", difference.class.as_str(), difference.reason);
    write_lines(out, "  ", &reason)?;
    if let [first, rest @ ..] = &difference.events[..] {
        let more = difference.event_count.saturating_sub(1);
        let last = rest.last().filter(|_| more == 1);
        let events = match (more, last) {
            (0, _) => format!("event {first}"),
            (_, Some(last)) => format!("events {first} and {last}"),
            _ => format!("event {first} and {} before it", count(more)),
        };
        write_lines(out, "  ", &events)?;
    }
    for FieldDifference { field, ledger, stripe } in &difference.fields {
        let (from, to) = (history::value(ledger), history::value(stripe));
        // Lists are shown as their length and instants to the minute, so different values may look equal.
        let change = if from == to {
            "differs".to_owned()
        } else {
            format!("{from} in the ledger, {to} at Stripe")
        };
        write_lines(out, "    ", &format!("{field}: {change}"))?;
    }
    Ok(())
}

fn write_end(report: &Report, out: &mut impl Write) -> anyhow::Result<()> {
    if let Some(Healing { appended, healed, remaining }) = report.healing {
        writeln!(out)?;
        let stay = if remaining == 0 {
            "none stays".to_owned()
        } else {
            format!("{} stay", count(remaining))
        };
        let appended = count(appended);
        let text = format!("Appended {appended}; {} differences are gone, {stay}.", count(healed));
        write_lines(out, "", &text)?;
    }
    if report.customers_left_out > 0 {
        print_message(
            "hint: too many customers differ, so some were left out; run `subledger backfill` first",
        );
    } else if report.healing.is_none() && report.drift > 0 {
        print_message("hint: `subledger reconcile --apply` appends what heals the differences");
    }
    if report.unreadable > 0 {
        let objects = count(report.unreadable);
        print_message(&format!(
            "{objects} objects of Stripe's API could not be read and were skipped"
        ));
    }
    Ok(())
}

/// Writes a text in lines that fit the width, broken between words, with an indent that grows after the first.
fn write_lines(out: &mut impl Write, indent: &str, text: &str) -> io::Result<()> {
    for line in wrap(&visible(text), indent, line_width()) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_in_minor_units_and_unknown_ones_are_counted() {
        let by_currency = [("eur".to_owned(), 1_234_500), ("usd".to_owned(), 7)].into();
        let amount = MonthlyAmount { by_currency, items_without_amount: 2 };
        assert_eq!(
            money(&amount),
            "1,234,500 eur (minor units), 7 usd (minor units), 2 items of unknown amount"
        );
        assert_eq!(money(&MonthlyAmount::default()), "-");
    }
}
