//! Subject of a history, and the instant up to which events count.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::ids::{CustomerId, CustomerKey, Position, Scope, SubscriptionId};
use crate::store::{GenerationStamp, Store, StoreError, TimelineKey};
use crate::time::{ReceivedAt, StripeTime};

/// Subject of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// Kind of the subject.
    pub kind: SubjectKind,
    /// The application's user id, `cus_…` or `sub_…`.
    pub id: String,
    /// Account and mode.
    #[serde(skip)]
    pub scope: Scope,
}

/// Kind of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    /// A user of the application, with every customer that is linked to it.
    User,
    /// A customer.
    Customer,
    /// A subscription.
    Subscription,
}

impl SubjectKind {
    /// Kind by the form of an id: `cus_…`, `sub_…`, and anything else is a user.
    pub fn from_id(id: &str) -> Self {
        if id.starts_with("cus_") {
            Self::Customer
        } else if id.starts_with("sub_") {
            Self::Subscription
        } else {
            Self::User
        }
    }
}

/// Instants, by two clocks, up to which events count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Latest second in which an event happened, by Stripe's clock; none for no limit.
    pub as_of: Option<StripeTime>,
    /// Latest time of receipt, by the ledger's clock; none for no limit.
    pub known_at: Option<ReceivedAt>,
}

/// Customers of a subject, with the stamp of the generation if it was read already.
pub(super) async fn customers_of(
    store: &Store,
    subject: &Subject,
) -> Result<(Option<GenerationStamp>, Vec<CustomerKey>), StoreError> {
    let scope = subject.scope.clone();
    match subject.kind {
        SubjectKind::User => {
            let found = store.read_model.customers_of_user(&scope, &subject.id).await?;
            Ok((Some(found.0), found.1))
        }
        SubjectKind::Customer => {
            let customer = CustomerId::from(subject.id.as_str());
            Ok((None, vec![CustomerKey { scope, customer }]))
        }
        SubjectKind::Subscription => {
            let subscription = SubscriptionId::from(subject.id.as_str());
            let named = TimelineKey::Subscription(scope, subscription);
            let mut customers = BTreeSet::new();
            let read = store.read_model.timeline_each(&named, Position::ZERO, usize::MAX, |it| {
                if !customers.contains(&it.customer) {
                    customers.insert(it.customer);
                }
            });
            Ok((Some(read.await?), customers.into_iter().collect()))
        }
    }
}
