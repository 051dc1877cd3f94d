//! Random seconds of rivals: who wins must not show in which order or in which batches they came.

use subledger::ids::EventId;
use subledger::projection::group::{Group, Precedence, Snapshot};
use subledger::projection::order::{Evidence, LifecyclePhase, sequence};
use subledger::time::StripeTime;

use crate::order::dice::Dice;
use crate::order::told::evidence;

const SECONDS: u64 = 300_000;
/// Evidence is read from this many random bodies once, and then dealt out again and again.
const POOL: usize = 3_000;

/// Facts of a snapshot: so few values that rivals agree about as often as they differ.
type Facts = u8;
type Rival = (Precedence, StripeTime, EventId, Snapshot<Facts>);

const STATUSES: [&str; 4] = ["incomplete", "trialing", "active", "past_due"];
const INVOICE_STATUSES: [&str; 4] = ["draft", "open", "uncollectible", "paid"];
const VERSIONS: [Option<&str>; 3] = [None, Some("2024-12-18.acacia"), Some("2026-04-22.dahlia")];

/// Evidence of an event about a subscription or an invoice. `number` stands in one attribute that is
/// the same in every version, `items` or `lines` in one that is not.
fn any_evidence(dice: &mut Dice) -> Evidence {
    let phase = match dice.below(8) {
        0 => LifecyclePhase::Created,
        1 => LifecyclePhase::Deleted,
        _ => LifecyclePhase::Changed,
    };
    let (statuses, number, list) = if dice.one_in(2) {
        (STATUSES, "quantity", "items")
    } else {
        (INVOICE_STATUSES, "amount_paid", "lines")
    };
    let status = dice.below(4);
    let any = |dice: &mut Dice| {
        [
            format!(r#""status":"{}""#, statuses[dice.below(4)]),
            format!(r#""{number}":{}"#, dice.below(3)),
            format!(r#""{list}":{{"data":[{}]}}"#, dice.below(2)),
            format!(r#""cancel_at":{}"#, dice.pick(&["null", "7"])),
        ]
    };
    let mut object = any(dice);
    object[0] = format!(r#""status":"{}""#, statuses[status]);
    let mut previous = any(dice).to_vec();
    previous.retain(|_| phase != LifecyclePhase::Created && dice.one_in(3));
    let rank = u8::try_from(status.min(2)).unwrap();
    let version = VERSIONS[dice.below(3)];
    let wrapped = |fields: &[String]| format!("{{{}}}", fields.join(","));
    evidence(phase, rank, version, &wrapped(&object), &wrapped(&previous))
}

fn pool() -> Vec<Evidence> {
    let dice = &mut Dice::new(1);
    (0..POOL).map(|_| any_evidence(dice)).collect()
}

/// Two to five rivals, nearly always of one second and precedence.
fn any_rivals(dice: &mut Dice, pool: &[Evidence]) -> Vec<Rival> {
    let first = dice.below(1_000);
    let rivals = (0..dice.between(2, 5)).map(|number| {
        let snapshot = Snapshot {
            facts: u8::try_from(dice.below(2)).unwrap(),
            evidence: pool[dice.below(pool.len())].clone(),
        };
        let precedence = if dice.one_in(16) { Precedence::Terminal } else { Precedence::Live };
        // The second before the latest one counts, too, and often has rivals of its own.
        let second = if dice.one_in(3) { 4 } else { 5 };
        // Ids in no order, and none twice: 7 and 1,009 have no common divisor.
        let id = EventId::new(format!("evt_{:04}", (first + number) * 7 % 1_009));
        (precedence, StripeTime(second), id, snapshot)
    });
    rivals.collect()
}

fn group((precedence, second, id, snapshot): Rival) -> Group<Facts> {
    Group::new(precedence, second, id, snapshot)
}

/// Joins all of them, two of the heaps that are left at a time, until one is left.
fn joined_in_any_grouping(dice: &mut Dice, rivals: &[Rival]) -> Group<Facts> {
    let mut heaps: Vec<Group<Facts>> = rivals.iter().cloned().map(group).collect();
    while heaps.len() > 1 {
        let taken = heaps.swap_remove(dice.below(heaps.len()));
        let into = dice.below(heaps.len());
        // Now and then a heap is joined again, as an event that is delivered twice is.
        if dice.one_in(4) {
            heaps[into].join(taken.clone());
        }
        heaps[into].join(taken);
    }
    heaps.remove(0)
}

/// The ids from first to last, and those that might be last, after these events.
fn sequence_of<'a>(
    rivals: &[&'a Rival],
    before: &[&Evidence],
) -> (Vec<&'a EventId>, Vec<&'a EventId>) {
    let pairs: Vec<(&EventId, &Evidence)> =
        rivals.iter().map(|(_, _, id, snapshot)| (id, &snapshot.evidence)).collect();
    let found = sequence(&pairs, before);
    let order = found.order.iter().map(|at| pairs[*at].0).collect();
    let mut other_last_candidates: Vec<_> =
        found.other_last_candidates.iter().map(|at| pairs[*at].0).collect();
    other_last_candidates.sort_unstable();
    (order, other_last_candidates)
}

#[test]
fn no_order_and_no_grouping_of_the_rivals_of_a_second_shows_in_what_is_stored() {
    let pool = pool();
    let (mut ambiguous, mut agreed) = (0_u64, 0_u64);
    for seed in 0..SECONDS {
        let dice = &mut Dice::new(seed);
        let rivals = any_rivals(dice, &pool);
        let expected = joined_in_any_grouping(dice, &rivals);
        let stored = postcard::to_allocvec(&expected).unwrap();
        let winner = expected.winner();
        for _ in 0..2 {
            let other = joined_in_any_grouping(dice, &rivals);
            let bytes = postcard::to_allocvec(&other).unwrap();
            assert_eq!(bytes, stored, "seed {seed}: {rivals:#?}");
        }
        let restored: Group<Facts> = postcard::from_bytes(&stored).unwrap();
        let again = restored.winner();
        let same = (again.event_id, again.is_ambiguous) == (winner.event_id, winner.is_ambiguous);
        assert!(same, "seed {seed}: stored and read, another wins: {rivals:#?}");

        let mut shuffled: Vec<&Rival> = rivals.iter().collect();
        let mut before: Vec<&Evidence> =
            (0..dice.below(3)).map(|_| &pool[dice.below(pool.len())]).collect();
        let in_order = sequence_of(&shuffled, &before);
        dice.shuffle(&mut shuffled);
        dice.shuffle(&mut before);
        assert_eq!(sequence_of(&shuffled, &before), in_order, "seed {seed}: {rivals:#?}");

        let agree = rivals.iter().all(|rival| rival.3.facts == rivals[0].3.facts);
        assert!(
            !(agree && winner.is_ambiguous),
            "seed {seed}: marked, though all agree: {rivals:#?}"
        );
        ambiguous += u64::from(winner.is_ambiguous);
        agreed += u64::from(agree);
    }
    // The random seconds are of every kind, or nothing was tried.
    assert!(ambiguous > SECONDS / 20 && ambiguous < SECONDS / 2, "{ambiguous}");
    assert!(agreed > SECONDS / 20 && agreed < SECONDS / 2, "{agreed}");
}

/// Deals the ids of such a second out anew. Where the winner was beyond doubt, what it says stays.
fn assert_ids_decide_nothing(rivals: &[Rival], dice: &mut Dice, seed: u64) -> bool {
    let expected = joined_in_any_grouping(dice, rivals);
    let winner = expected.winner();
    if winner.is_ambiguous {
        return false;
    }
    let mut ids: Vec<EventId> = rivals.iter().map(|rival| rival.2.clone()).collect();
    dice.shuffle(&mut ids);
    let renamed: Vec<Rival> = rivals
        .iter()
        .zip(ids)
        .map(|((precedence, second, _, snapshot), id)| (*precedence, *second, id, snapshot.clone()))
        .collect();
    let other = joined_in_any_grouping(dice, &renamed);
    let (before, after) = (winner.facts, other.winner().facts);
    assert_eq!(after, before, "seed {seed}: by other ids another wins: {rivals:#?}\n{renamed:#?}");
    true
}

#[test]
fn where_nothing_is_in_doubt_among_equals_the_ids_decide_nothing() {
    let pool = pool();
    let mut certain = 0;
    for seed in 0..SECONDS / 10 {
        let dice = &mut Dice::new(seed);
        let mut rivals = any_rivals(dice, &pool);
        for (precedence, second, _, snapshot) in &mut rivals {
            (*precedence, *second, snapshot.evidence.rank) = (Precedence::Live, StripeTime(5), 1);
        }
        certain += u64::from(assert_ids_decide_nothing(&rivals, dice, seed));
    }
    assert!(certain > SECONDS / 100, "{certain}");
}

#[test]
fn where_nothing_is_in_doubt_the_ids_decide_nothing() {
    let pool = pool();
    for seed in 0..SECONDS / 10 {
        let dice = &mut Dice::new(seed);
        let mut rivals = any_rivals(dice, &pool);
        for (precedence, second, _, _) in &mut rivals {
            (*precedence, *second) = (Precedence::Live, StripeTime(5));
        }
        assert_ids_decide_nothing(&rivals, dice, seed);
    }
}
