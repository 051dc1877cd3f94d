//! Accounts and modes in one ledger: the same ids in another scope are other things.

use std::collections::BTreeMap;

use subledger::ids::Scope;

use crate::order::any_order::{rows_in_any_order, rows_of};
use crate::order::bodies::any_event;
use crate::order::dice::Dice;
use crate::order::told::{DELETED, Told, UPDATED, tell_all};

#[test]
fn test_and_live_with_the_same_ids_are_two_subscriptions() {
    let rows = rows_in_any_order(&[
        Told::sub("evt_1", UPDATED, 5, r#""status":"active""#),
        Told::sub("evt_1", DELETED, 9, r#""status":"canceled""#).in_mode(false),
    ]);
    let found: Vec<_> = rows.iter().map(|row| (row.livemode, row.status.as_str())).collect();
    assert_eq!(found, [(false, "canceled"), (true, "active")]);
}

#[test]
fn two_accounts_in_one_database_are_two_subscriptions() {
    let rows = rows_in_any_order(&[
        Told::sub("evt_1", UPDATED, 5, r#""status":"active""#).in_account("acct_a"),
        Told::sub("evt_1", DELETED, 9, r#""status":"canceled""#).in_account("acct_b"),
        Told::sub("evt_1", UPDATED, 7, r#""status":"trialing""#),
    ]);
    let found: Vec<_> =
        rows.iter().map(|row| (row.account.as_str(), row.status.as_str())).collect();
    assert_eq!(found, [("", "trialing"), ("acct_a", "active"), ("acct_b", "canceled")]);
}

#[test]
fn a_customer_that_accounts_of_an_organization_share_has_in_each_what_is_that_accounts() {
    let of = |account: &str, event_type: &str, created: i64, object: &str| {
        let body = Told::new("evt_1", event_type, created, object).body();
        body.replace(r#""livemode""#, &format!(r#""context":"org_1/{account}","livemode""#))
    };
    let subscription = |fields: &str| {
        format!(r#"{{"id":"sub_1","object":"subscription","customer":"cus_1",{fields}}}"#)
    };
    let customer =
        r#"{"id":"cus_1","object":"customer","email":"b@example.com","metadata":{"user_id":"b"}}"#;
    let invoice = r#"{"id":"in_1","object":"invoice","customer":"cus_1","subscription":"sub_1","status":"paid",
        "customer_email":"b@example.com","created":5,
        "lines":{"data":[{"subscription":"sub_1","period":{"start":1,"end":99}}]}}"#;
    let session = r#"{"id":"cs_1","object":"checkout.session","customer":"cus_1","subscription":"sub_1",
        "client_reference_id":"b","status":"complete"}"#;
    let bodies = [
        of("acct_a", UPDATED, 5, &subscription(r#""status":"active""#)),
        of("acct_b", DELETED, 9, &subscription(r#""status":"canceled""#)),
        of("acct_b", "customer.updated", 9, customer),
        of("acct_b", "customer.deleted", 9, customer),
        of("acct_b", "invoice.paid", 9, invoice),
        of("acct_b", "checkout.session.completed", 9, session),
    ];
    let rows = rows_of(&tell_all(bodies.iter().map(String::as_str)));
    let alone = rows_of(&tell_all([bodies[0].as_str()]));
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].account.as_str(), &rows[..1]), ("acct_a", &alone[..]));
    let of_b = (rows[1].account.as_str(), rows[1].user_id.as_deref(), rows[1].status.as_str());
    assert_eq!(of_b, ("acct_b", Some("b"), "canceled"));
}

#[test]
fn any_interleaving_of_accounts_and_modes_folds_each_as_if_it_were_alone() {
    let scopes = ["", "acct_a", "acct_b"].map(|account| [(account, true), (account, false)]);
    for seed in 0..400 {
        let dice = &mut Dice::new(seed);
        let mut all: Vec<((&str, bool), String)> = Vec::new();
        for (account, livemode) in scopes.into_iter().flatten() {
            for number in 0..dice.between(1, 8) {
                // The ids of the events are the same in every scope, too.
                let event = any_event(dice, &format!("evt_{number}"));
                let event = event.in_account(account).in_mode(livemode);
                all.push(((account, livemode), event.body()));
            }
        }
        dice.shuffle(&mut all);
        let together = tell_all(all.iter().map(|(_, body)| body.as_str()));
        let mut apart = BTreeMap::new();
        for (account, livemode) in scopes.into_iter().flatten() {
            let own = all.iter().filter(|(scope, _)| *scope == (account, livemode));
            let alone = tell_all(own.map(|(_, body)| body.as_str()));
            let scope = Scope { account: account.into(), livemode };
            assert!(alone.keys().all(|key| key.scope == scope), "seed {seed}");
            apart.extend(alone);
        }
        assert_eq!(together, apart, "seed {seed}");
        assert_eq!(rows_of(&together), rows_of(&apart), "seed {seed}");
    }
}
