//! Verification of what the log says that events were signed with.

use subledger::audit;
use subledger::simulate::sign;
use subledger::store::{EventSource, NewEvent};
use subledger::stripe::{Binding, Verifier};
use subledger::time::StripeTime;

use crate::raw;
use crate::store::{Ledger, facts};

const LIVE: &str = "whsec_live";
const TEST: &str = "whsec_test";

/// A live event of the own account, signed with this secret.
fn signed(id: &str, secret: &str, verifier: Option<&Verifier>) -> NewEvent {
    let (facts, body) = (facts(id), "{}");
    let header = sign(secret, 7, body.as_bytes());
    let signers = verifier
        .map(|it| it.verify(Some(header.as_bytes()), body.as_bytes(), StripeTime(7)).unwrap());
    let signer = signers.map(|it| it.signer_for(&facts.scope).unwrap());
    let event = NewEvent::new(facts, EventSource::Webhook, Some(header), body.to_owned()).unwrap();
    event.signed_with(signer)
}

fn bound() -> Verifier {
    Verifier::bound([(Binding::Live, LIVE), (Binding::Test, TEST)], None)
}

/// Position and message of each finding.
async fn findings(ledger: &Ledger, verifier: Option<&Verifier>) -> Vec<(i64, String)> {
    let report = audit::verify(&ledger.store, verifier, |_| {}).await.unwrap();
    report.findings.into_iter().map(|it| (it.position.unwrap().0, it.message)).collect()
}

#[tokio::test]
async fn what_was_signed_before_signers_were_kept_or_secrets_bound_verifies_as_before() {
    let ledger = Ledger::new().await;
    let unbound = Verifier::new([LIVE, TEST], None);
    let events = [
        signed("evt_1", LIVE, None),
        signed("evt_2", LIVE, Some(&unbound)),
        signed("evt_3", LIVE, Some(&bound())),
    ];
    ledger.store.log.append(&events).await.unwrap();
    for verifier in [None, Some(&unbound), Some(&bound())] {
        assert_eq!(findings(&ledger, verifier).await, []);
    }
    let rolled = Verifier::new(["whsec_new"], None);
    let found = findings(&ledger, Some(&rolled)).await;
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|it| it.1.contains("signature is invalid")), "{found:?}");
}

#[tokio::test]
async fn a_live_event_that_the_secret_of_a_test_endpoint_signed_is_found() {
    let ledger = Ledger::new().await;
    let unbound = Verifier::new([LIVE, TEST], None);
    let events = [signed("evt_1", TEST, None), signed("evt_2", TEST, Some(&unbound))];
    ledger.store.log.append(&events).await.unwrap();
    assert_eq!(findings(&ledger, Some(&unbound)).await, []);
    let message = "the signature fits a secret that is bound to test events of your own account (test:), and \
         the event is a live event of your own account"
        .to_owned();
    let found = findings(&ledger, Some(&bound())).await;
    assert_eq!(found, [(1, message.clone()), (2, message)]);
}

#[tokio::test]
async fn a_signer_that_does_not_fit_the_event_or_its_signature_is_found() {
    let ledger = Ledger::new().await;
    let events: Vec<_> =
        (1..=5).map(|number| signed(&format!("evt_{number}"), LIVE, Some(&bound()))).collect();
    ledger.store.log.append(&events).await.unwrap();
    let mut sql = raw::log(&ledger.url).await;
    let guards = sql.drop_guards().await;
    let of_test = bound().signers().nth(1).unwrap();
    let other = of_test.to_string().replace("test:", "live:");
    for (position, signer) in
        [(1, &*of_test.to_string()), (2, "live:whsec_live"), (3, ""), (4, &*other)]
    {
        let tamper =
            format!("UPDATE events SET signed_with = '{signer}' WHERE position = {position}");
        sql.run(&tamper).await;
    }
    for guard in guards {
        sql.run(&guard).await;
    }
    let nobody = "signed_with names no secret that may vouch for the event".to_owned();
    let found = findings(&ledger, None).await;
    assert_eq!(found, [(1, nobody.clone()), (2, nobody.clone()), (3, nobody)]);
    // Which secret it was, only the secrets can tell.
    let with_secrets = findings(&ledger, Some(&bound())).await;
    let another = "signed_with names a secret that did not make the signature".to_owned();
    assert_eq!(with_secrets, [&found[..], &[(4, another)]].concat());
}
