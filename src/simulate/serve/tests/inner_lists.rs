//! Lists inside objects, which Stripe cuts at ten.

use super::*;

fn wide() -> SimulatedStripe {
    let plan = Plan { wide_percent: 40, subscriptions: 40, ..plan() };
    SimulatedStripe::new(&plan, Options::default())
}

#[tokio::test]
async fn items_and_lines_are_cut_at_ten_and_their_own_lists_have_the_rest() {
    let stripe = wide();
    let client = live(&stripe);
    let (mut cut_items, mut cut_lines) = (0, 0);
    for (list, inner) in [("/v1/subscriptions?status=all", "items"), ("/v1/invoices", "lines")] {
        for object in client.walk(list, 100).await {
            let embedded = object[inner]["data"].as_array().unwrap();
            let total = object[inner]["total_count"].as_u64().unwrap();
            let url = object[inner]["url"].as_str().unwrap();
            let all = client.walk(url, 3).await;
            assert_eq!(all.len() as u64, total);
            assert_eq!(&all[..embedded.len()], &embedded[..], "same order");
            let is_cut = object[inner]["has_more"].as_bool().unwrap();
            assert_eq!(is_cut, total > 10);
            if is_cut {
                assert_eq!(embedded.len(), 10);
                *(if inner == "items" { &mut cut_items } else { &mut cut_lines }) += 1;
            }
        }
    }
    assert!(cut_items > 3 && cut_lines > 3, "{cut_items}, {cut_lines}");
}

#[tokio::test]
async fn the_list_of_entitlements_has_those_that_a_summary_leaves_out() {
    let client = live(world());
    let mut most = 0;
    for customer in client.walk("/v1/customers", 100).await {
        let id = customer["id"].as_str().unwrap();
        let url = format!("/v1/entitlements/active_entitlements?customer={id}");
        let all = client.walk(&url, 4).await;
        assert!(all.iter().all(|it| it["object"] == "entitlements.active_entitlement"));
        most = most.max(all.len());
    }
    assert!(most > 10, "{most}");
    let refused = client.get("/v1/entitlements/active_entitlements").await;
    assert_eq!((refused.status, refused.error("code")), (400, "parameter_missing"));
}
