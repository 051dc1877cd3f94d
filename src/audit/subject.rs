//! Whose story is told, and as of when.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::ids::{CustomerId, CustomerKey, Position, Scope, SubscriptionId};
use crate::store::{GenerationStamp, Store, StoreError, TimelineKey};
use crate::time::{ReceivedAt, StripeTime};

/// Whose history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// Of which kind.
    pub kind: SubjectKind,
    /// The application's user id, `cus_…` or `sub_…`.
    pub id: String,
    /// The account and mode that are meant.
    #[serde(skip)]
    pub scope: Scope,
}

/// The kinds of subjects that have a history.
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
    /// The kind that an id looks like: `cus_…`, `sub_…`, and anything else a user.
    pub fn of_id(id: &str) -> Self {
        if id.starts_with("cus_") {
            Self::Customer
        } else if id.starts_with("sub_") {
            Self::Subscription
        } else {
            Self::User
        }
    }
}

/// Two clocks that can be turned back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Only what had happened by then.
    pub as_of: Option<StripeTime>,
    /// Only what had reached us by then.
    pub known_at: Option<ReceivedAt>,
}

/// The customers that a subject's events are of, and as of when, where that was asked already.
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
