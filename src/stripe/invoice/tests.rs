//! Shapes of invoices through the years.

use super::*;

fn invoice(json: &str) -> Invoice<'_> {
    serde_json::from_str(json).unwrap()
}

#[test]
fn the_subscription_is_found_by_every_road() {
    for json in [
        r#"{"parent":{"type":"subscription_details","subscription_details":{"subscription":"sub_1"}}}"#,
        r#"{"subscription":"sub_1","parent":null}"#,
        r#"{"subscription":{"id":"sub_1","object":"subscription"}}"#,
        r#"{"lines":{"data":[{"parent":{"subscription_item_details":{"subscription":"sub_1"}}}]}}"#,
        r#"{"lines":{"data":[{"subscription":null},{"subscription":"sub_1"}]}}"#,
        r#"{"lines":{"data":[{"id":"sub_1","type":"subscription"}]}}"#,
    ] {
        assert_eq!(invoice(json).subscription(), Some("sub_1"), "{json}");
    }
    let manual = r#"{"parent":null,"lines":{"data":[{"id":"il_1","type":"invoiceitem"}]}}"#;
    assert_eq!(invoice(manual).subscription(), None);
}

#[test]
fn the_status_of_old_invoices_is_read_from_their_flags() {
    for (json, status) in [
        (r#"{"status":"open","paid":false}"#, "open"),
        (r#"{"paid":true,"closed":true,"forgiven":false}"#, "paid"),
        (r#"{"paid":false,"closed":true,"forgiven":true}"#, "uncollectible"),
        (r#"{"paid":false,"closed":true,"forgiven":false}"#, "void"),
        (r#"{"paid":false,"closed":false,"forgiven":false}"#, "open"),
    ] {
        assert_eq!(invoice(json).facts("sub_1").status, status, "{json}");
    }
}

#[test]
fn an_invoice_of_before_2019_is_dated_by_date() {
    let made = |json| invoice(json).facts("sub_1").created;
    assert_eq!(made(r#"{"date":7}"#), Some(StripeTime(7)));
    assert_eq!(made(r#"{"date":7,"created":8}"#), Some(StripeTime(8)));
}

#[test]
fn an_invoice_of_nothing_is_paid_and_earns_nothing() {
    for (json, earned) in [
        (r#"{"status":"paid","amount_paid":900,"amount_due":0}"#, true),
        (r#"{"status":"paid","amount_paid":0,"amount_due":900}"#, true),
        (r#"{"status":"paid","total":900,"amount_paid":0,"amount_due":0}"#, true),
        (r#"{"status":"paid","total":0,"amount_paid":0,"amount_due":0}"#, false),
        (r#"{"status":"paid","total":-500,"amount_paid":0,"amount_due":0}"#, false),
        (r#"{"paid":true,"amount_due":900}"#, true),
        (r#"{"paid":true,"amount_due":0}"#, false),
        (r#"{"status":"paid"}"#, true),
        (r#"{"status":"open","amount_paid":900}"#, false),
    ] {
        assert_eq!(invoice(json).facts("sub_1").has_earned(), earned, "{json}");
    }
}

fn lines(json: &str, subscription: &str) -> Vec<(i64, bool)> {
    let facts = invoice(json).facts(subscription);
    facts.lines.iter().map(|line| (line.end.0, line.is_credit)).collect()
}

#[test]
fn a_line_belongs_to_the_subscription_that_it_names_in_every_shape() {
    let old = r#"{"status":"paid","subscription":"sub_1","lines":{"data":[
        {"type":"subscription","subscription":"sub_1","period":{"start":1,"end":9}},
        {"type":"subscription","subscription":"sub_2","period":{"start":1,"end":99}},
        {"type":"invoiceitem","proration":true,"subscription":"sub_1","amount":-500,
         "period":{"start":1,"end":70}},
        {"type":"invoiceitem","period":{"start":3,"end":200}},
        {"type":"invoiceitem","subscription":"sub_1","proration":false,
         "period":{"start":3,"end":300}}]}}"#;
    let new = r#"{"status":"paid","parent":{"subscription_details":{"subscription":"sub_1"}},
        "lines":{"data":[
        {"parent":{"subscription_item_details":{"subscription":"sub_1","subscription_item":"si_1",
         "proration":false}},"period":{"start":1,"end":9}},
        {"parent":{"invoice_item_details":{"subscription":"sub_2","proration":true}},
         "period":{"start":1,"end":99}},
        {"parent":{"subscription_item_details":{"subscription":"sub_1","subscription_item":"si_1",
         "proration":true}},"amount":-500,"period":{"start":1,"end":70}},
        {"parent":{"invoice_item_details":{"subscription":null,"proration":false}},
         "period":{"start":3,"end":200}},
        {"parent":{"invoice_item_details":{"subscription":"sub_1","proration":false}},
         "period":{"start":3,"end":300}}]}}"#;
    for json in [old, new] {
        assert_eq!(lines(json, "sub_1"), [(9, false), (70, true)], "{json}");
        assert_eq!(lines(json, "sub_2"), [(99, false)], "{json}");
        assert_eq!(invoice(json).subscriptions(), ["sub_1", "sub_2"]);
        assert!(invoice(json).facts("sub_1").is_own && !invoice(json).facts("sub_2").is_own);
        assert!(lines(&json.replace("paid", "open"), "sub_1").is_empty());
    }
}

#[test]
fn a_manual_invoice_that_picks_up_a_proration_is_no_invoice_of_the_subscription() {
    for line in [
        r#"{"type":"invoiceitem","subscription":"sub_1","proration":true,"period":{"end":9}}"#,
        r#"{"parent":{"invoice_item_details":{"subscription":"sub_1","proration":true}},
        "period":{"end":9}}"#,
    ] {
        let json = format!(
            r#"{{"status":"paid","subscription":null,"parent":null,"lines":{{"data":[{line}]}}}}"#
        );
        let invoice = invoice(&json);
        assert_eq!(invoice.own_subscription(), None);
        assert_eq!(invoice.subscription(), Some("sub_1"));
        assert_eq!(invoice.subscriptions(), ["sub_1"]);
        assert!(!invoice.facts("sub_1").is_own);
        assert_eq!(lines(&json, "sub_1"), [(9, false)]);
    }
}

#[test]
fn a_credit_of_nothing_gives_back_and_a_change_between_free_prices_says_nothing() {
    let json = r#"{"status":"paid","subscription":"sub_1","lines":{"data":[
        {"subscription":"sub_1","subscription_item":"si_1","proration":true,"amount":0,
         "proration_details":{"credited_items":{"invoice":"in_0"}},"period":{"start":60,"end":365}},
        {"subscription":"sub_1","subscription_item":"si_1","proration":true,"amount":0,
         "proration_details":{"credited_items":null},"period":{"start":60,"end":70}},
        {"parent":{"subscription_item_details":{"subscription":"sub_1","subscription_item":"si_1",
         "proration":true,"proration_details":{"credited_items":{"invoice":"in_0"}}}},"amount":0,
         "period":{"start":60,"end":80}}]}}"#;
    assert_eq!(lines(json, "sub_1"), [(365, true), (80, true)]);
}

#[test]
fn a_list_that_is_cut_before_the_line_for_the_new_period_is_noticed() {
    let cut = |lines: &str, more: &str| {
        let json = format!(
            r#"{{"status":"paid","created":5,"subscription":"sub_1","lines":{{"data":[{lines}]{more}}}}}"#
        );
        invoice(&json).facts("sub_1").are_lines_cut
    };
    let proration = r#"{"type":"invoiceitem","proration":true,"subscription":"sub_1",
        "period":{"start":1,"end":9}}"#;
    let period = r#"{"type":"subscription","subscription":"sub_1","period":{"start":1,"end":9}}"#;
    for more in [r#","has_more":true"#, r#","total_count":12"#, r#","count":12"#] {
        assert!(cut(proration, more), "{more}");
        assert!(!cut(&format!("{proration},{period}"), more), "{more}");
        // Usage of the period that is over does not say how far the new one is paid.
        assert!(cut(&period.replace(r#""end":9"#, r#""end":5"#), more), "{more}");
    }
    assert!(!cut(proration, r#","has_more":false,"total_count":1"#));
}
