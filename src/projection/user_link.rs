//! Link of a customer to a user that an operator imported: its record in the log, and its place in the state.
//!
//! A link counts where nothing of Stripe's names a user. The latest link of a customer counts.

use serde::{Deserialize, Serialize};

use super::own_record;
use crate::ids::{CustomerId, EventId, Scope};
use crate::time::StripeTime;

/// Value of `user_id_source` for a user that a link names.
pub const SOURCE: &str = "operator";

/// Record of one link: customer, user, author and reason. The record's own time is that of its event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserLinkRecord {
    /// Customer of the record's account and mode.
    pub customer: CustomerId,
    /// User of the application. None removes the link.
    pub user_id: Option<String>,
    /// Person or office that imported it.
    pub by: String,
    /// Reason, such as the number of a ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl UserLinkRecord {
    /// Type of the event.
    pub const TYPE: &str = "subledger.user_link";

    /// Reads the record from the body of an event. None if the body is no such record.
    pub fn read(body: &str) -> Option<Self> {
        own_record::read(Self::TYPE, body)
    }

    /// Body of the record's event.
    pub fn into_body(self, id: &EventId, scope: &Scope, at: StripeTime) -> String {
        own_record::write(Self::TYPE, id, scope, at, self)
    }

    /// Sentence of a history: "linked to user 42 by Ann (import of users, ticket 7)".
    pub fn describe(&self) -> String {
        let link = match &self.user_id {
            Some(user) => format!("linked to user {user}"),
            None => "unlinked from its user".to_owned(),
        };
        let reason = self.reason.as_ref().map(|it| format!(", {it}")).unwrap_or_default();
        format!("{link} by {} (import of users{reason})", self.by)
    }
}

/// Link in the state of a customer. The greatest counts: that of the latest second, and in it of the greatest id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UserLink {
    /// Second of the record.
    pub created: StripeTime,
    /// Event of the record.
    pub event_id: EventId,
    /// User of the application; none after the link was removed.
    pub user_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::Envelope;

    #[test]
    fn a_record_is_read_as_it_was_written_and_is_an_event_like_any_other() {
        let record = UserLinkRecord {
            customer: "cus_1".into(),
            user_id: Some("42".to_owned()),
            by: "Ann".to_owned(),
            reason: Some("ticket 7".to_owned()),
        };
        assert_eq!(record.describe(), "linked to user 42 by Ann (import of users, ticket 7)");
        let scope = Scope { account: "acct_1".into(), livemode: true };
        let body = record.clone().into_body(&"link_1".into(), &scope, StripeTime(7));
        assert_eq!(UserLinkRecord::read(&body), Some(record.clone()));
        let envelope = Envelope::parse(&body).unwrap();
        assert_eq!((&*envelope.id, envelope.created), ("link_1", StripeTime(7)));
        assert_eq!((&*envelope.event_type, envelope.scope()), (UserLinkRecord::TYPE, scope));
        let removed = UserLinkRecord { user_id: None, reason: None, ..record };
        assert_eq!(removed.describe(), "unlinked from its user by Ann (import of users)");
        assert_eq!(UserLinkRecord::read("{}"), None);
    }
}
