//! `entitlements.active_entitlement_summary`: features that a customer is entitled to.

use serde::{Deserialize, Serialize};

use super::json::{Id, List, Text};

/// Facts of one summary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureFacts {
    /// Lookup keys of the features, in Stripe's order.
    pub features: Vec<String>,
    /// True if there are more: a summary embeds at most ten.
    pub is_truncated: bool,
}

/// Summary as it is in an event. It has no id: there is one per customer.
#[derive(Clone, Debug, Deserialize)]
pub struct EntitlementSummary<'a> {
    /// Type that the object says it has.
    #[serde(borrow)]
    pub object: Option<Text<'a>>,
    /// Id of the customer.
    #[serde(borrow)]
    pub customer: Option<Id<'a>>,
    #[serde(borrow)]
    entitlements: Option<List<Entitlement<'a>>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Entitlement<'a> {
    #[serde(borrow)]
    lookup_key: Option<Text<'a>>,
    #[serde(borrow)]
    feature: Option<Id<'a>>,
}

impl EntitlementSummary<'_> {
    /// The facts. A feature is named by its `lookup_key`, or else by its id.
    pub fn facts(&self) -> FeatureFacts {
        let Some(list) = &self.entitlements else { return FeatureFacts::default() };
        let names = list.data.iter().filter_map(|entitlement| {
            let feature = entitlement.feature.as_ref().map(|id| &id.0);
            entitlement.lookup_key.as_ref().or(feature).map(Text::to_owned_string)
        });
        FeatureFacts { features: names.collect(), is_truncated: list.is_truncated() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_go_by_their_lookup_keys_and_a_list_that_was_cut_says_so() {
        let facts = |json| serde_json::from_str::<EntitlementSummary<'_>>(json).unwrap().facts();
        let cut = facts(
            r#"{"object":"entitlements.active_entitlement_summary","customer":"cus_1",
            "entitlements":{"data":[{"lookup_key":"sso","feature":"feat_1"},
            {"lookup_key":null,"feature":{"id":"feat_2"}}],"has_more":true}}"#,
        );
        assert_eq!(cut.features, ["sso", "feat_2"]);
        assert!(cut.is_truncated);
        assert_eq!(facts(r#"{"customer":"cus_1","entitlements":null}"#), FeatureFacts::default());
    }
}
