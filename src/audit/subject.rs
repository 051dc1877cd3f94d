//! Whose story is told, and as of when.

use serde::Serialize;

use crate::ids::Scope;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
