//! Accounts and modes in one ledger: the same ids in another scope are other things.

use std::collections::BTreeMap;

use subledger::ids::Scope;

use super::any_order::{rows_in_any_order, rows_of};
use super::bodies::any_event;
use super::dice::Dice;
use super::told::{DELETED, Told, UPDATED, tell_all};

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
