//! Statuses that a request may ask for.

use std::fmt;

use crate::ids::Scope;
use crate::projection::policy::KNOWN_STATUSES;
use crate::store::{ReadModel, StoreError, SubscriptionFilter};
use crate::suggest::nearest;

/// A status that nothing has: probably one that is mistyped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownStatus {
    status: String,
    meant: Option<&'static str>,
}

impl UnknownStatus {
    /// The first of these statuses that Stripe does not have and no subscription has. One that Stripe invents
    /// later is known as soon as a subscription has it.
    pub async fn among(
        statuses: &[String],
        scope: &Scope,
        read_model: &ReadModel,
    ) -> Result<Option<Self>, StoreError> {
        for status in statuses.iter().filter(|it| !KNOWN_STATUSES.contains(&it.as_str())) {
            let filter = SubscriptionFilter {
                account: Some(scope.account.clone()),
                livemode: Some(scope.livemode),
                statuses: vec![status.clone()],
                ..SubscriptionFilter::default()
            };
            if read_model.subscriptions(&filter, None, 1).await?.1.is_empty() {
                let meant = nearest(&status.to_lowercase(), KNOWN_STATUSES);
                return Ok(Some(Self { status: status.clone(), meant }));
            }
        }
        Ok(None)
    }

    /// Advice: the statuses that can be asked for.
    pub fn hint(&self) -> String {
        let known = format!("statuses are {}", KNOWN_STATUSES.join(", "));
        match self.meant {
            Some(meant) => format!("did you mean {meant}? {known}"),
            None => known,
        }
    }
}

impl fmt::Display for UnknownStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no status {:?}", self.status)
    }
}
