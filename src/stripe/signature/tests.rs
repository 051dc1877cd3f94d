//! Every accepted and refused form of the header, as a table of facts: secret, body, header, now,
//! tolerance, and what must come of it. The digests were computed for a fixed clock.

use proptest::prelude::*;

use super::*;
use crate::stripe::Envelope;

const EVENT: &str = "{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\"\n}";
const COMPACT: &str = "{\"id\":\"evt_123\",\"object\":\"event\"}";
const EMPTY_OBJECT: &str = "{}";
const SECRET: &str = "whsec_test_secret";
const NOW: i64 = 1_700_000_000;

/// Expected result of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expect {
    /// The signature holds.
    Accept,
    /// The signature is refused for this reason.
    Refuse(SignatureError),
    /// The signature holds and the body is no event: an error of its own.
    AcceptThenNotAnEvent,
}
use Expect::{Accept, AcceptThenNotAnEvent, Refuse};
use SignatureError::{Malformed, Missing, NoMatch, NoV1, TooNew, TooOld};

struct Case {
    name: &'static str,
    secret: &'static str,
    body: &'static str,
    header: Option<&'static str>,
    now: i64,
    tolerance: Option<u32>,
    expect: Expect,
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case {
        name: "valid", secret: SECRET, body: EVENT,
        header: Some("t=1700000000,v1=4f1cd7feda9826e746b7d482c4badebb657398df1099e1046364f6196a230150"),
        now: NOW, tolerance: Some(300), expect: Accept,
    },
    Case {
        name: "valid-bytes-not-utf8-reencoded", secret: SECRET, body: EVENT,
        header: Some("t=1700000000,v1=4f1cd7feda9826e746b7d482c4badebb657398df1099e1046364f6196a230150"),
        now: NOW, tolerance: Some(300), expect: Accept,
    },
    Case {
        name: "valid-compact-json", secret: SECRET, body: COMPACT,
        header: Some("t=1700000000,v1=dd87ab365008cd15388d35ae8467b42bbc97bb9efe68060ed81e123be0e21c6e"),
        now: NOW, tolerance: Some(300), expect: Accept,
    },
    Case {
        name: "header-missing", secret: SECRET, body: EVENT,
        header: None,
        now: NOW, tolerance: Some(300), expect: Refuse(Missing),
    },
    Case {
        name: "header-empty", secret: SECRET, body: EVENT,
        header: Some(""),
        now: NOW, tolerance: Some(300), expect: Refuse(Malformed),
    },
    Case {
        name: "header-garbage-1", secret: SECRET, body: EVENT,
        header: Some("bad_header"),
        now: NOW, tolerance: Some(300), expect: Refuse(Malformed),
    },
    Case {
        name: "header-garbage-2", secret: SECRET, body: EVENT,
        header: Some("i'm not even a real signature header"),
        now: NOW, tolerance: Some(300), expect: Refuse(Malformed),
    },
    Case {
        name: "header-garbage-3", secret: SECRET, body: EVENT,
        header: Some("I'm not even a real signature header"),
        now: NOW, tolerance: Some(300), expect: Refuse(Malformed),
    },
    Case {
        name: "header-t-without-value", secret: SECRET, body: EVENT,
        header: Some("t="),
        now: NOW, tolerance: Some(300), expect: Refuse(Malformed),
    },
    Case {
        name: "header-v1-without-value-and-t", secret: SECRET, body: EVENT,
        header: Some("v1,t=1"),
        now: NOW, tolerance: Some(300), expect: Refuse(NoV1),
    },
    Case {
        name: "header-t-not-a-number", secret: SECRET, body: EVENT,
        header: Some("t=not_a_number,v1=somesignature"),
        now: NOW, tolerance: Some(300), expect: Refuse(Malformed),
    },
    Case {
        name: "header-malformed-1", secret: "", body: EMPTY_OBJECT,
        header: Some("t=,v1=2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7,v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"),
        now: NOW, tolerance: Some(300), expect: Refuse(Malformed),
    },
    Case {
        name: "header-malformed-2", secret: "", body: EMPTY_OBJECT,
        header: Some("t,v1=,v0="),
        now: NOW, tolerance: Some(300), expect: Refuse(Malformed),
    },
    Case {
        name: "header-malformed-3", secret: "", body: EMPTY_OBJECT,
        header: Some("t,v1=,v0"),
        now: NOW, tolerance: Some(300), expect: Refuse(Malformed),
    },
    Case {
        name: "header-malformed-4", secret: "", body: EMPTY_OBJECT,
        header: Some("t,v1=,"),
        now: NOW, tolerance: Some(300), expect: Refuse(Malformed),
    },
    Case {
        name: "header-malformed-5", secret: "", body: EMPTY_OBJECT,
        header: Some("t,,"),
        now: NOW, tolerance: Some(300), expect: Refuse(Malformed),
    },
    Case {
        name: "header-malformed-6", secret: "", body: EMPTY_OBJECT,
        header: Some(",,"),
        now: NOW, tolerance: Some(300), expect: Refuse(Malformed),
    },
    Case {
        name: "header-malformed-7", secret: "", body: EMPTY_OBJECT,
        header: Some("t"),
        now: NOW, tolerance: Some(300), expect: Refuse(Malformed),
    },
    Case {
        name: "scheme-v0-only", secret: SECRET, body: EVENT,
        header: Some("t=1700000000,v0=4f1cd7feda9826e746b7d482c4badebb657398df1099e1046364f6196a230150"),
        now: NOW, tolerance: Some(300), expect: Refuse(NoV1),
    },
    Case {
        name: "signature-not-matching", secret: SECRET, body: EVENT,
        header: Some("t=1700000000,v1=bad_signature"),
        now: NOW, tolerance: Some(300), expect: Refuse(NoMatch),
    },
    Case {
        name: "signature-hex-but-wrong", secret: SECRET, body: EVENT,
        header: Some("t=1700000000,v1=6465616462656566"),
        now: NOW, tolerance: Some(300), expect: Refuse(NoMatch),
    },
    Case {
        name: "signature-of-other-payload", secret: SECRET, body: "{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\"\n}this_changes_the_json",
        header: Some("t=1700000000,v1=4f1cd7feda9826e746b7d482c4badebb657398df1099e1046364f6196a230150"),
        now: NOW, tolerance: Some(300), expect: Refuse(NoMatch),
    },
    Case {
        name: "wrong-secret", secret: "wrong_secret", body: EMPTY_OBJECT,
        header: Some("t=1700000000,v1=8d8c3ff9c49e1270a80e8594c6f110b971670713042e07eeee400f3e79c19ff3"),
        now: NOW, tolerance: Some(300), expect: Refuse(NoMatch),
    },
    Case {
        name: "valid-plus-bad-v1-after", secret: SECRET, body: EVENT,
        header: Some("t=1700000000,v1=4f1cd7feda9826e746b7d482c4badebb657398df1099e1046364f6196a230150,v1=bad_signature"),
        now: NOW, tolerance: Some(300), expect: Accept,
    },
    Case {
        name: "valid-plus-potato-v1-after", secret: SECRET, body: EVENT,
        header: Some("t=1700000000,v1=4f1cd7feda9826e746b7d482c4badebb657398df1099e1046364f6196a230150,v1=potato"),
        now: NOW, tolerance: Some(300), expect: Accept,
    },
    Case {
        name: "valid-plus-wrong-64hex-v1-after", secret: SECRET, body: EMPTY_OBJECT,
        header: Some("t=1700000000,v1=ceb8863f7208fa249a6cd8f951e993c7563412aca65866f6272283debe143ab3,v1=deadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeefdeadbeef"),
        now: NOW, tolerance: Some(300), expect: Accept,
    },
    Case {
        name: "secret-rolled-check-with-old", secret: SECRET, body: EVENT,
        header: Some("t=1700000000,v1=4f1cd7feda9826e746b7d482c4badebb657398df1099e1046364f6196a230150,v1=dc80d0334b78e0dbbc3d5352c151a428b746163b94ad381096bb293b9e650f1e"),
        now: NOW, tolerance: Some(300), expect: Accept,
    },
    Case {
        name: "valid-with-v0-after", secret: SECRET, body: EVENT,
        header: Some("t=1700000000,v1=4f1cd7feda9826e746b7d482c4badebb657398df1099e1046364f6196a230150,v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"),
        now: NOW, tolerance: Some(300), expect: Accept,
    },
    Case {
        name: "too-old-15-of-10", secret: SECRET, body: EVENT,
        header: Some("t=1699999985,v1=863601b9d49fc793147c9ce6edb3a24a79c181ebfc398a35cee56c357d862729"),
        now: NOW, tolerance: Some(10), expect: Refuse(TooOld),
    },
    Case {
        name: "fresh-15-of-20", secret: SECRET, body: EVENT,
        header: Some("t=1699999985,v1=863601b9d49fc793147c9ce6edb3a24a79c181ebfc398a35cee56c357d862729"),
        now: NOW, tolerance: Some(20), expect: Accept,
    },
    Case {
        name: "fresh-9-of-10", secret: SECRET, body: EVENT,
        header: Some("t=19991,v1=005ec3d9ed97031e44c771ed3a6fdd7e6e5a2ebe43d1c23e407cb00074ff60aa"),
        now: 20_000, tolerance: Some(10), expect: Accept,
    },
    Case {
        name: "too-old-15-of-10-fixed-clock", secret: SECRET, body: EVENT,
        header: Some("t=19985,v1=934adb23c2f58f64deab2c89db028b0af45bad688e46d3e88bd2d21cbb83ab21"),
        now: 20_000, tolerance: Some(10), expect: Refuse(TooOld),
    },
    Case {
        name: "11-s-old-of-10", secret: SECRET, body: EVENT,
        header: Some("t=1,v1=6bfccef559c1ba04db4d23089d8f1bd00bbf8563f05d085d9d515dd786516316"),
        now: 12, tolerance: Some(10), expect: Refuse(TooOld),
    },
    Case {
        name: "default-tolerance-299", secret: SECRET, body: EVENT,
        header: Some("t=1699999701,v1=d62032c967e630414dbafb68129e2dcc03381d4d2ed14f8097311cd3f92f05f8"),
        now: NOW, tolerance: Some(300), expect: Accept,
    },
    Case {
        name: "default-tolerance-400", secret: SECRET, body: EVENT,
        header: Some("t=1699999600,v1=fea570fa1e9744598d5bcfcfe1f874bee56afe636afe48e2d468110a233b1a42"),
        now: NOW, tolerance: Some(300), expect: Refuse(TooOld),
    },
    Case {
        name: "no-tolerance-old-timestamp", secret: SECRET, body: EVENT,
        header: Some("t=12345,v1=2672d138c9a412830f3bfe2ecc5bfb3277cf6f5b49d0119d77dd6cb64da1257e"),
        now: NOW, tolerance: None, expect: Accept,
    },
    Case {
        name: "secret-with-trailing-space", secret: "whsec_test_secret ", body: EVENT,
        header: Some("t=1700000000,v1=4f1cd7feda9826e746b7d482c4badebb657398df1099e1046364f6196a230150"),
        now: NOW, tolerance: Some(300), expect: Refuse(NoMatch),
    },
    Case {
        name: "empty-body", secret: SECRET, body: "",
        header: Some("t=1700000000,v1=316b9ab98c15bfa039d243f3196acee619cf29749a91a634e6a8154e2f7b6727"),
        now: NOW, tolerance: Some(300), expect: AcceptThenNotAnEvent,
    },
    Case {
        name: "not-json-but-signed", secret: SECRET, body: "this is not valid JSON",
        header: Some("t=1700000000,v1=3fa12e00c43599d0fb01131fe7ea14cf2b14a671c09b15a72db83cbbc5fb1ff8"),
        now: NOW, tolerance: Some(300), expect: AcceptThenNotAnEvent,
    },
    Case {
        name: "not-json-but-signed-2", secret: SECRET, body: "} I am not valid JSON; 123][",
        header: Some("t=1700000000,v1=f51cb471b499dfae7485cba9aa31df6549b8e098e60f2a2d2a42829d963fe5a4"),
        now: NOW, tolerance: Some(300), expect: AcceptThenNotAnEvent,
    },
    Case {
        name: "json-with-trailing-bracket", secret: SECRET, body: "{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\"\n}[",
        header: Some("t=1700000000,v1=ff2a106a1525fe7ccb4052f05284086a3cb6b0ff98dd8fd7fe45281c350ed443"),
        now: NOW, tolerance: Some(300), expect: AcceptThenNotAnEvent,
    },
];

#[test]
fn every_known_form_of_the_header_is_judged_as_it_must_be() {
    for case in CASES {
        let verifier = Verifier::new([case.secret], case.tolerance);
        let header = case.header.map(str::as_bytes);
        let verdict = verifier.verify(header, case.body.as_bytes(), StripeTime(case.now));
        let verdict = verdict.map(|_| ());
        let expected = match case.expect {
            Accept | AcceptThenNotAnEvent => Ok(()),
            Refuse(error) => Err(error),
        };
        assert_eq!(verdict, expected, "{}", case.name);
        if case.expect == AcceptThenNotAnEvent {
            assert!(Envelope::parse(case.body).is_err(), "{}", case.name);
        }
    }
    assert_eq!(CASES.len(), 41);
}

/// The header that Stripe would send for this body.
fn signed(secret: &str, timestamp: i64, body: &[u8]) -> String {
    let mut mac = keyed(secret);
    mac.update(format!("{timestamp}.").as_bytes());
    mac.update(body);
    format!("t={timestamp},v1={}", hex::encode(mac.finalize().into_bytes()))
}

fn v1_of(header: &str) -> &str {
    header.split_once(',').unwrap().1
}

#[test]
fn any_v1_counts_for_any_secret_in_any_order() {
    let body = EVENT.as_bytes();
    let (old, new, other) = ("whsec_old", "whsec_new", "whsec_other");
    let v1 = |secret| v1_of(&signed(secret, NOW, body)).to_owned();
    for header in [
        format!("t={NOW},{},{}", v1(old), v1(new)),
        format!("t={NOW},{},{}", v1(new), v1(old)),
        format!("{},t={NOW},{}", v1(other), v1(new)),
        format!("v0=00,{} , t={NOW}", v1(new)),
    ] {
        for secrets in [vec![new], vec![other, new], vec![new, old, other]] {
            let verifier = Verifier::new(&secrets, Some(300));
            let verdict = verifier.verify(Some(header.as_bytes()), body, StripeTime(NOW));
            assert!(verdict.is_ok(), "{header} with {secrets:?}");
        }
    }
    let verifier = Verifier::new([other], Some(300));
    let header = format!("t={NOW},{},{}", v1(old), v1(new));
    assert_eq!(verifier.verify(Some(header.as_bytes()), body, StripeTime(NOW)), Err(NoMatch));
}

#[test]
fn every_secret_that_fits_is_named_with_its_binding_and_not_shown() {
    let body = EVENT.as_bytes();
    let (old, new) = ("whsec_old", "whsec_new");
    let header = format!("{},{}", signed(old, NOW, body), v1_of(&signed(new, NOW, body)));
    let secrets = [
        (Binding::Live, "whsec_other"),
        (Binding::Test, old),
        (Binding::Live, new),
        (Binding::Connect, old),
    ];
    let verifier = Verifier::bound(secrets, Some(300));
    let signers = verifier.verify(Some(header.as_bytes()), body, StripeTime(NOW)).unwrap();
    let all: Vec<_> = verifier.signers().collect();
    assert_eq!(signers, Signers(vec![all[1], all[2], all[3]]));
    // One secret has one identifier, whatever it is bound to, and another has another.
    assert_eq!((all[1].secret, all[3].binding), (all[3].secret, Binding::Connect));
    assert_ne!(all[1].secret, all[2].secret);
    // As `openssl dgst -sha256 -hmac` gives it.
    let shown = all[1].to_string();
    assert_eq!(shown, "test:0862e8af", "an identifier in a log stays what it is");
}

#[test]
fn without_a_secret_nothing_is_accepted() {
    let header = signed("", NOW, EVENT.as_bytes());
    let verifier = Verifier::new(Vec::<&str>::new(), Some(300));
    let verdict = verifier.verify(Some(header.as_bytes()), EVENT.as_bytes(), StripeTime(NOW));
    assert_eq!(verdict, Err(NoMatch));
}

#[test]
fn the_tolerance_counts_in_both_directions_and_includes_its_bound() {
    let verifier = Verifier::new([SECRET], Some(300));
    let header = signed(SECRET, NOW, EVENT.as_bytes());
    let at = |now| {
        let verdict = verifier.verify(Some(header.as_bytes()), EVENT.as_bytes(), StripeTime(now));
        verdict.map(|_| ())
    };
    assert_eq!(at(NOW + 300), Ok(()));
    assert_eq!(at(NOW + 301), Err(TooOld));
    assert_eq!(at(NOW - 300), Ok(()));
    assert_eq!(at(NOW - 301), Err(TooNew));
}

#[test]
fn a_header_is_judged_without_the_body() {
    let verifier = Verifier::new([SECRET], Some(300));
    let judge = |header: Option<&str>| {
        verifier.read_header(header.map(str::as_bytes), StripeTime(NOW)).map(|_| ()).err()
    };
    let v1 = format!("v1={}", "0".repeat(64));
    assert_eq!(judge(None), Some(Missing));
    assert_eq!(judge(Some("t=x")), Some(Malformed));
    assert_eq!(judge(Some(&format!("t={NOW},v0=00"))), Some(NoV1));
    assert_eq!(judge(Some(&format!("t={NOW},v1=00"))), Some(NoMatch));
    assert_eq!(judge(Some(&format!("t={},{v1}", NOW - 301))), Some(TooOld));
    assert_eq!(judge(Some(&format!("t={},{v1}", NOW + 301))), Some(TooNew));
    assert_eq!(judge(Some(&format!("t={NOW},{v1}"))), None);
}

#[test]
fn a_forged_timestamp_does_not_match() {
    let verifier = Verifier::new([SECRET], Some(300));
    let header = signed(SECRET, NOW, EVENT.as_bytes()).replace("t=1700000000", "t=1700000001");
    let verdict = verifier.verify(Some(header.as_bytes()), EVENT.as_bytes(), StripeTime(NOW));
    assert_eq!(verdict, Err(NoMatch));
}

#[test]
fn headers_joined_by_a_comma_are_one_list() {
    let body = EVENT.as_bytes();
    let verifier = Verifier::new([SECRET], Some(300));
    let good = signed(SECRET, NOW, body);
    let other = signed("whsec_other", NOW, body);
    let verdict = |header: &str| {
        verifier.verify(Some(header.as_bytes()), body, StripeTime(NOW)).map(|_| ()).err()
    };
    for header in [
        format!("{good},{good}"),
        format!("{other}, {good}"),
        format!("{good},{other}"),
        format!("{other},{}", v1_of(&good)),
    ] {
        assert_eq!(verdict(&header), None, "{header}");
    }
    assert_eq!(verdict(&format!("{other},{other}")), Some(NoMatch));
    let later = signed(SECRET, NOW + 1, body);
    assert_eq!(verdict(&format!("{good},{later}")), Some(Malformed));
}

#[test]
fn two_timestamps_signs_and_overlong_headers_are_malformed() {
    let verifier = Verifier::new([SECRET], None);
    let good = signed(SECRET, NOW, EVENT.as_bytes());
    for header in [
        format!("t=1,{good}"),
        good.replace("t=", "t=+"),
        good.replace("t=", "t=-"),
        format!("{good},{}", "v1=00,".repeat(HEADER_BYTES_MAX)),
        good.replace("t=1700000000", "t=99999999999999999999"),
    ] {
        let verdict = verifier.verify(Some(header.as_bytes()), EVENT.as_bytes(), StripeTime(NOW));
        assert_eq!(verdict, Err(Malformed), "{header:.60}");
    }
}

#[test]
fn an_event_written_anew_by_a_framework_does_not_match() {
    let verifier = Verifier::new([SECRET], None);
    let header = signed(SECRET, NOW, EVENT.as_bytes());
    let again = serde_json::to_string(&serde_json::from_str::<serde_json::Value>(EVENT).unwrap());
    let verdict =
        verifier.verify(Some(header.as_bytes()), again.unwrap().as_bytes(), StripeTime(NOW));
    assert_eq!(verdict, Err(NoMatch));
}

proptest! {
    #[test]
    fn no_header_makes_the_parser_panic_or_accept(header in proptest::collection::vec(any::<u8>(), 0..200)) {
        let verifier = Verifier::new([SECRET], None);
        prop_assert!(verifier.verify(Some(&header), EVENT.as_bytes(), StripeTime(NOW)).is_err());
    }

    #[test]
    fn what_was_signed_is_accepted_and_any_changed_byte_is_not(
        body in proptest::collection::vec(any::<u8>(), 1..200), at in 0usize..200, flip in 1u8..,
    ) {
        let verifier = Verifier::new([SECRET], None);
        let header = signed(SECRET, NOW, &body);
        prop_assert!(verifier.verify(Some(header.as_bytes()), &body, StripeTime(NOW)).is_ok());
        let mut changed = body.clone();
        changed[at % body.len()] ^= flip;
        prop_assert_eq!(verifier.verify(Some(header.as_bytes()), &changed, StripeTime(NOW)), Err(NoMatch));
    }
}
