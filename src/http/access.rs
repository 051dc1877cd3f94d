//! Access of a user or a customer, and a page of the subscriptions that it rests on.

use serde::Serialize;

use super::App;
use super::params::{Params, cursor};
use super::problem::Problem;
use super::view::{Access, SubscriptionView};
use crate::ids::Mode;
use crate::ids::Scope;
use crate::store::{AccessHolder, AccessKey, AccessQuestion, GenerationStamp, ItemFilter};

/// Parameters of a request about access.
pub(super) struct Asked {
    pub(super) scope: Scope,
    item: ItemFilter,
    limit: usize,
    after: Option<AccessKey>,
}

/// Access, and a page of subscriptions.
#[derive(Clone, Debug, Serialize)]
pub struct AccessView {
    /// The mode that was asked about.
    pub mode: &'static str,
    /// The access that all subscriptions grant together, also those of other pages.
    #[serde(flatten)]
    pub access: Access,
    /// A page of the subscriptions that were asked about, those that grant access first.
    pub subscriptions: Vec<SubscriptionView>,
    /// Value of `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// True if one of them may hold what was asked for and is not known to: Stripe cut its list of
    /// items short, and what is left does not have it. Such a one grants nothing here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
}

impl Asked {
    /// Reads the parameters, and refuses what is none of them.
    pub(super) fn read(mut params: Params, mode: Mode) -> Result<Self, Problem> {
        let asked = Self {
            item: params.item()?,
            limit: params.limit()?,
            after: params.after(read_key)?,
            scope: params.scope(mode)?,
        };
        params.finish()?;
        Ok(asked)
    }

    /// Answers it for this holder.
    pub(super) async fn answer(
        self,
        app: &App,
        holder: AccessHolder,
    ) -> Result<(GenerationStamp, AccessView), Problem> {
        let Self { scope, item, limit, after } = self;
        let mode = Mode::from_livemode(scope.livemode).as_str();
        let question = AccessQuestion { scope, holder, item };
        // One more than asked for tells whether there is a next page.
        let (stamp, mut answer) =
            app.store.read_model.access(&question, after.as_ref(), limit + 1).await?;
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
            access: Access::of(answer.grant, now),
            subscriptions: subscriptions.collect(),
            next,
            incomplete: answer.incomplete,
        };
        Ok((stamp, view))
    }
}

fn write_key(AccessKey { entitled, id }: &AccessKey) -> String {
    cursor(&format!("{entitled}\n{id}"))
}

fn read_key(key: &str) -> Option<AccessKey> {
    let (entitled, id) = key.split_once('\n')?;
    Some(AccessKey { entitled: entitled.parse().ok()?, id: id.into() })
}
