use super::*;
use crate::ids::AccountId;

fn span(from: i64, to: i64, by: CoveredBy) -> Span {
    Span { from: StripeTime(from), to: StripeTime(to), by }
}

fn joined(added: &[(i64, i64, CoveredBy)]) -> Vec<(i64, i64, CoveredBy)> {
    let mut spans = Vec::new();
    for (from, to, by) in added {
        add_span(&mut spans, span(*from, *to, *by));
    }
    spans.iter().map(|it| (it.from.0, it.to.0, it.by)).collect()
}

use CoveredBy::{Backfill, Sync};

#[test]
fn spans_of_one_reason_that_touch_are_one() {
    assert_eq!(joined(&[(10, 20, Sync), (20, 30, Sync)]), [(10, 30, Sync)]);
    assert_eq!(joined(&[(25, 30, Sync), (10, 20, Sync), (15, 26, Sync)]), [(10, 30, Sync)]);
    assert_eq!(joined(&[(10, 20, Sync), (21, 30, Sync)]), [(10, 20, Sync), (21, 30, Sync)]);
    assert_eq!(joined(&[(20, 10, Sync)]), []);
}

#[test]
fn a_sync_continues_a_backfill() {
    assert_eq!(joined(&[(0, 20, Backfill), (10, 30, Sync)]), [(0, 20, Backfill), (20, 30, Sync)]);
    assert_eq!(joined(&[(0, 20, Backfill), (5, 15, Sync)]), [(0, 20, Backfill)]);
}

#[test]
fn a_later_backfill_closes_all_gaps_before_it() {
    let spans = [(0, 20, Backfill), (20, 30, Sync), (40, 60, Sync), (0, 50, Backfill)];
    assert_eq!(joined(&spans), [(0, 50, Backfill), (50, 60, Sync)]);
}

#[test]
fn gaps_are_what_no_span_covers() {
    use GapReason::{NeverBackfilled, NotSynced, OlderThanListed};
    let coverage = |complete: &[(i64, i64, CoveredBy)]| Coverage {
        scope: Scope { account: AccountId::default(), livemode: true },
        complete: complete.iter().map(|it| span(it.0, it.1, it.2)).collect(),
        missed: Vec::new(),
    };
    let gaps = |complete: &[(i64, i64, CoveredBy)], now| {
        let gaps = coverage(complete).gaps(StripeTime(now));
        gaps.iter().map(|it| (it.from.0, it.to.0, it.reason)).collect::<Vec<_>>()
    };
    assert_eq!(gaps(&[], 9), [(0, 9, NeverBackfilled)]);
    assert_eq!(gaps(&[(5, 9, Sync)], 9), [(0, 5, NeverBackfilled)]);
    let holed = [(0, 20, Backfill), (20, 30, Sync), (40, 60, Sync)];
    assert_eq!(gaps(&holed, 70), [(30, 40, OlderThanListed), (60, 70, NotSynced)]);
}

#[test]
fn what_no_sync_can_have_read_yet_needs_no_attention() {
    let mut coverage = Coverage {
        scope: Scope { account: AccountId::default(), livemode: true },
        complete: vec![span(0, 1_000, Backfill)],
        missed: Vec::new(),
    };
    let at = |coverage: &Coverage, now| coverage.open_gaps(StripeTime(now)).len();
    assert_eq!(at(&coverage, 1_000 + SYNC_DUE_SECONDS), 0);
    assert_eq!(at(&coverage, 1_001 + SYNC_DUE_SECONDS), 1);
    coverage.complete = vec![span(500, 1_000, Sync)];
    assert_eq!(at(&coverage, 1_000), 1, "a gap before the first sync is never too young");
}

#[test]
fn the_advice_is_a_command_for_the_account_and_mode() {
    let connected = Scope { account: "acct_1".into(), livemode: false };
    let gap =
        Gap { from: StripeTime(100), to: StripeTime(900), reason: GapReason::NeverBackfilled };
    let advice = gap.advice(&connected, StripeTime(900));
    assert_eq!(advice, "run `subledger backfill --mode test --account acct_1`");
    let gap = Gap { reason: GapReason::NotSynced, ..gap };
    assert!(gap.advice(&connected, StripeTime(900)).contains("STRIPE_API_KEY"));
    let after_a_month = StripeTime(100 + 30 * 86_400);
    assert_eq!(
        gap.advice(&Scope { livemode: true, ..Scope::default() }, after_a_month),
        "run `subledger backfill`"
    );
}
