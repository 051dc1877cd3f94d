use super::*;
use crate::ids::SubscriptionId;
use crate::projection::column::Json;
use crate::projection::row::SubscriptionRow;
use crate::reconcile::fields::Content;

const NOW: StripeTime = StripeTime(1_800_000_000);

fn row(status: &str) -> SubscriptionRow {
    let entitled = status == "active";
    SubscriptionRow { status: status.to_owned(), entitled, ..SubscriptionRow::default() }
}

fn listed(id: &str, age: i64) -> ListedEvent {
    ListedEvent {
        id: EventId::new(id),
        created: StripeTime(NOW.0 - age),
        subscription: Some(SubscriptionId::new("sub_1")),
        announced_by: None,
    }
}

fn held_event(id: &str) -> HeldEvent {
    HeldEvent { id: EventId::new(id), created: StripeTime(5), reason: "no status".to_owned() }
}

/// Class after the evidence was completed.
fn class_of(
    before: Option<&SubscriptionRow>,
    after: &SubscriptionRow,
    complete: impl FnOnce(&mut Evidence<'_>),
) -> Verdict {
    let ledger = before.map(Content::of);
    let fields = Content::differences(ledger.as_ref(), &Content::of(after));
    assert!(!fields.is_empty());
    let mut evidence = Evidence {
        before,
        after,
        fields: &fields,
        now: NOW,
        missed: Vec::new(),
        explained_by_missed: Explained::Not,
        young: Vec::new(),
        explained_by_young: Explained::Not,
        parked: Vec::new(),
        thin: Vec::new(),
        is_gone: false,
        is_customer_deleted: false,
        is_other_order: false,
    };
    complete(&mut evidence);
    classify(&evidence)
}

fn changed(complete: impl FnOnce(&mut Evidence<'_>)) -> Class {
    class_of(Some(&row("active")), &row("canceled"), complete).class
}

#[test]
fn listed_events_that_were_never_delivered_are_named_with_their_begin() {
    let verdict = class_of(Some(&row("active")), &row("canceled"), |it| {
        it.missed = vec![listed("evt_2", 500), listed("evt_1", 900)];
        it.explained_by_missed = Explained::Fully;
    });
    assert_eq!(verdict.class, Class::MissedDelivery);
    assert_eq!(verdict.events, ["evt_2".into(), "evt_1".into()]);
    assert_eq!(verdict.since, Some(StripeTime(NOW.0 - 900)));
    assert!(verdict.reason.starts_with("2 events were never delivered since 20"), "{verdict:?}");
}

#[test]
fn what_nothing_explains_was_missed_before_the_listed_time() {
    assert_eq!(changed(|_| ()), Class::MissedDelivery);
    assert_eq!(class_of(None, &row("active"), |_| ()).class, Class::UnknownHere);
}

#[test]
fn young_events_explain_only_what_older_ones_do_not() {
    let young = |it: &mut Evidence<'_>| {
        it.young = vec![listed("evt_1", 5)];
        it.explained_by_young = Explained::Partly;
    };
    assert_eq!(changed(young), Class::NotYetDelivered);
    let both = |it: &mut Evidence<'_>| {
        young(it);
        it.explained_by_missed = Explained::Partly;
    };
    assert_eq!(changed(both), Class::MissedDelivery);
}

#[test]
fn an_instant_of_the_last_two_minutes_says_that_it_changed_now() {
    let at = |age| SubscriptionRow { canceled_at: Some(StripeTime(NOW.0 - age)), ..row("active") };
    let class = |age| class_of(Some(&row("active")), &at(age), |_| ()).class;
    assert_eq!(class(100), Class::NotYetDelivered);
    assert_eq!(class(121), Class::MissedDelivery);
    assert_eq!(class(-100), Class::MissedDelivery);
}

#[test]
fn an_unpaid_checkout_is_no_drift_unless_the_ledger_grants_access() {
    assert_eq!(class_of(None, &row("incomplete"), |_| ()).class, Class::AbandonedCheckout);
    let class = class_of(Some(&row("active")), &row("incomplete_expired"), |_| ()).class;
    assert_eq!(class, Class::MissedDelivery);
}

#[test]
fn the_first_class_that_fits_counts() {
    let clock = SubscriptionRow { test_clock_id: Some("clock_1".to_owned()), ..row("canceled") };
    let class = class_of(Some(&row("active")), &clock, |it| it.is_gone = true).class;
    assert_eq!(class, Class::TestClock);
    assert_eq!(changed(|it| it.is_gone = true), Class::GoneAtStripe);
    let deleted = |it: &mut Evidence<'_>| {
        it.is_customer_deleted = true;
        it.explained_by_missed = Explained::Fully;
    };
    assert_eq!(changed(deleted), Class::DeletedCustomer);
    let parked = |it: &mut Evidence<'_>| it.parked = vec![held_event("evt_9")];
    assert_eq!(changed(parked), Class::Parked);
    let thin = |it: &mut Evidence<'_>| it.thin = vec![held_event("evt_thin")];
    assert_eq!(changed(thin), Class::ThinNotFetched);
    let with = |explained| {
        move |it: &mut Evidence<'_>| {
            it.parked = vec![held_event("evt_9")];
            it.missed = vec![listed("evt_1", 900)];
            it.explained_by_missed = explained;
        }
    };
    assert_eq!(changed(with(Explained::Partly)), Class::Parked);
    assert_eq!(changed(with(Explained::Fully)), Class::MissedDelivery);
    assert_eq!(changed(|it| it.is_other_order = true), Class::AmbiguousOrder);
}

#[test]
fn the_last_listed_event_decides_whether_a_thin_event_announced_the_change() {
    let announced = ListedEvent { announced_by: Some("evt_thin".into()), ..listed("evt_2", 500) };
    let verdict = |missed: Vec<ListedEvent>| {
        class_of(Some(&row("active")), &row("canceled"), |it| {
            it.missed = missed;
            it.explained_by_missed = Explained::Fully;
        })
    };
    let thin = verdict(vec![announced.clone(), listed("evt_1", 900)]);
    assert_eq!((thin.class, thin.events[0].as_str()), (Class::ThinNotFetched, "evt_thin"));
    assert_eq!(verdict(vec![listed("evt_3", 300), announced]).class, Class::MissedDelivery);
}

#[test]
fn a_cut_list_is_one_of_which_the_event_had_the_beginning() {
    let item = |id: &str| ItemRow { item_id: Some(id.to_owned()), ..ItemRow::default() };
    let of = |ids: &[&str], items_truncated| SubscriptionRow {
        items: Json(ids.iter().copied().map(item).collect()),
        items_truncated,
        ..row("active")
    };
    let class = |before: &SubscriptionRow, after| class_of(Some(before), after, |_| ()).class;
    let (cut, whole) = (of(&["a", "b"], true), of(&["a", "b", "c"], false));
    assert_eq!(class(&cut, &whole), Class::CutList);
    assert_eq!(class(&of(&["a", "x"], true), &whole), Class::MissedDelivery);
    assert_eq!(class(&of(&["a", "b"], false), &whole), Class::MissedDelivery);
    let other = SubscriptionRow { quantity: Some(2), ..whole.clone() };
    assert_eq!(class(&cut, &other), Class::MissedDelivery);
}

#[test]
fn only_the_user_differs_if_nothing_else_does() {
    let user = |id: &str| SubscriptionRow { user_id: Some(id.to_owned()), ..row("active") };
    assert_eq!(class_of(Some(&user("a")), &user("b"), |_| ()).class, Class::UserDiffers);
    let more = SubscriptionRow { quantity: Some(2), ..user("b") };
    assert_eq!(class_of(Some(&user("a")), &more, |_| ()).class, Class::MissedDelivery);
}
