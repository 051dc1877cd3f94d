//! Requests for what thin events name. Their paths were read strictly, and their host is always that of the API.

use std::borrow::Cow;

use crate::backfill::candidate::{Candidate, Unreadable, seen_by};
use crate::ids::Scope;
use crate::stripe::observation::{ObjectHeader, TYPE_PREFIX};
use crate::stripe::thin::RelatedObject;
use crate::stripe_api::{ApiClient, ApiError};
use crate::time::StripeTime;

/// Answer to a request for an event or an object.
pub(super) enum Answer {
    /// An event or an observation.
    Found(Box<Candidate>),
    /// Stripe has nothing there.
    Missing,
    /// An object that the ledger does not read.
    NotRead,
    /// The answer is something else than what was asked for.
    Unreadable(String),
    /// The request failed.
    Failed(ApiError),
}

/// Requests of one account and mode.
#[derive(Clone, Copy)]
pub(super) struct Requests<'a> {
    pub(super) client: &'a ApiClient,
    pub(super) scope: &'a Scope,
    /// Present time by the ledger's clock.
    pub(super) now: StripeTime,
}

impl Requests<'_> {
    /// Asks for an event with its snapshot.
    pub(super) async fn event(self, id: String) -> Answer {
        let path = format!("/v1/events/{id}");
        let answer = match self.client.get(&path, &[], Some(&self.scope.account)).await {
            Ok(answer) => answer,
            Err(error) => return Answer::from(error),
        };
        let candidate = match Candidate::listed_event(answer.body.trim(), self.scope) {
            Ok(candidate) => candidate,
            Err(Unreadable(reason)) => return Answer::Unreadable(reason),
        };
        let facts = candidate.event.facts();
        if facts.event_id.as_str() != id || facts.event_type.starts_with(TYPE_PREFIX) {
            return Answer::Unreadable(format!("the answer to {path} is another event"));
        }
        if facts.scope.livemode != self.scope.livemode {
            return Answer::Unreadable(format!("the answer to {path} is of the other mode"));
        }
        Answer::Found(Box::new(candidate))
    }

    /// Asks for an object as it is now.
    pub(super) async fn object(self, object: RelatedObject) -> Answer {
        let RelatedObject { id, path } = object;
        let account = Some(&self.scope.account);
        // Of a discount the id alone says nothing.
        let is_subscription = path.starts_with("/v1/subscriptions/");
        let query: &[(&str, &str)] =
            if is_subscription { &[("expand[]", "discounts")] } else { &[] };
        let answer = match self.client.get(&path, query, account).await {
            Ok(answer) => answer,
            // A path that Stripe does not have, such as that of a single discount.
            Err(ApiError::Refused { status: 404, .. }) => return Answer::Missing,
            Err(error) => return Answer::from(error),
        };
        let body = answer.body.trim();
        let header = match serde_json::from_str::<ObjectHeader<'_>>(body) {
            Ok(header) => header,
            Err(error) => return Answer::Unreadable(error.to_string()),
        };
        if header.id.as_deref() != Some(&id) {
            return Answer::Unreadable(format!("the answer to {path} is another object"));
        }
        if header.livemode.is_some_and(|it| it != self.scope.livemode) {
            return Answer::Unreadable(format!("the answer to {path} is of the other mode"));
        }
        let whole = match self.client.complete(body, account).await {
            // The list inside changed while it was read, or is too long. The object says that it was cut.
            Err(
                ApiError::AgedOut { .. }
                | ApiError::NotFound { .. }
                | ApiError::TooManyPages { .. }
                | ApiError::TooLarge { .. },
            ) => Cow::Borrowed(body),
            Err(error) => return Answer::Failed(error),
            Ok(whole) => whole,
        };
        let request = seen_by(&answer.request, self.now);
        match Candidate::observed(&whole, self.scope, &request) {
            Ok(Some(candidate)) => Answer::Found(Box::new(candidate)),
            Ok(None) => Answer::NotRead,
            Err(Unreadable(reason)) => Answer::Unreadable(reason),
        }
    }
}

impl From<ApiError> for Answer {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::NotFound { .. } => Self::Missing,
            error => Self::Failed(error),
        }
    }
}
