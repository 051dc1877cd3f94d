//! Access of a user or a customer, with a page of the subscriptions that grant it.

use serde::Serialize;

use super::AppState;
use super::known::{is_known, require_known};
use super::params::{Params, cursor};
use super::problem::Problem;
use crate::ids::{Mode, Position, Scope};
use crate::store::{AccessHolder, AccessKey, AccessQuestion, ItemFilter};
use crate::view::{Access, SubscriptionView};

/// Parameters of a request for the access of a user or a customer.
pub(super) struct AccessRequest {
    pub(super) scope: Scope,
    item: ItemFilter,
    limit: usize,
    after: Option<AccessKey>,
}

/// Access, and a page of the subscriptions that grant it.
#[derive(Clone, Debug, Serialize)]
pub struct AccessView {
    /// Mode of the request.
    pub mode: &'static str,
    /// True if the ledger has a subscription of the user or customer, or a backfill has read the account. Otherwise it
    /// may lack subscriptions, and "not active" is no answer.
    pub known: bool,
    /// Access that all subscriptions grant together, including those of other pages.
    #[serde(flatten)]
    pub access: Access,
    /// Page of the requested subscriptions, those that grant access first.
    pub subscriptions: Vec<SubscriptionView>,
    /// Value of `after` for the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// True if a subscription may have the requested item, but the event does not show it: Stripe truncated the
    /// list of items, and the rest does not have it. Such a subscription grants nothing here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
}

impl AccessRequest {
    /// Reads the parameters, and refuses any other one.
    pub(super) fn parse(mut params: Params, mode: Mode) -> Result<Self, Problem> {
        let request = Self {
            item: params.item()?,
            limit: params.limit()?,
            after: params.after(read_key)?,
            scope: params.scope(mode)?,
        };
        params.finish()?;
        Ok(request)
    }

    /// Answers the request for this user or customer.
    pub(super) async fn answer(
        self,
        app: &AppState,
        holder: AccessHolder,
    ) -> Result<(Position, AccessView), Problem> {
        let Self { scope, item, limit, after } = self;
        let mode = Mode::from_livemode(scope.livemode).as_str();
        let is_narrowed = after.is_some() || item != ItemFilter::default();
        let question = AccessQuestion { scope, holder, item };
        // One row more than the limit shows whether there is a next page.
        let (stamp, mut answer) =
            app.store.read_model.access(&question, after.as_ref(), limit + 1).await?;
        let known = is_known(app, &question, is_narrowed, &answer).await?;
        require_known(app, known, &question.scope)?;
        let more = answer.rows.len() > limit;
        answer.rows.truncate(limit);
        let next =
            answer.rows.last().filter(|_| more).map(|row| write_key(&AccessKey::from_row(row)));
        let now = app.clock.now().to_stripe_time();
        let subscriptions = answer.rows.into_iter().map(|row| {
            if question.item.matches(&row) {
                SubscriptionView::new(row, now)
            } else {
                SubscriptionView::undecided(row)
            }
        });
        let view = AccessView {
            mode,
            known,
            access: Access::new(answer.grant, now),
            subscriptions: subscriptions.collect(),
            next,
            incomplete: answer.incomplete,
        };
        Ok((stamp.position, view))
    }
}

fn write_key(AccessKey { entitled, id }: &AccessKey) -> String {
    cursor(&format!("{entitled}\n{id}"))
}

fn read_key(key: &str) -> Option<AccessKey> {
    let (entitled, id) = key.split_once('\n')?;
    Some(AccessKey { entitled: entitled.parse().ok()?, id: id.into() })
}
