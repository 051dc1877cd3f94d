//! Answers to the question who has access, without personal data: no e-mail address, metadata or amount.

use serde::Serialize;

use super::AppState;
use super::auth::Caller;
use super::known::require_known;
use super::params::Params;
use super::problem::{Problem, ProblemType};
use crate::ids::{CustomerId, Mode, Position, Scope};
use crate::projection::user_access::{Answer, Asked, UserAccess};
use crate::store::AccessHolder;
use crate::time::StripeTime;

/// Greatest number of items and features that the access of all users of a request lists. It limits the size of an
/// answer to some tens of MB.
const COVERED_MAX: usize = 200_000;

/// Parameters of a request that asks who has access.
pub(super) struct AccessParams {
    scope: Scope,
    asked: Asked,
}

/// Access of a user or customer at the instant of the request.
#[derive(Serialize)]
pub(super) struct HolderAccess {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<CustomerId>,
    mode: &'static str,
    #[serde(flatten)]
    answer: Answer,
    known: bool,
}

impl AccessParams {
    /// Reads the parameters. Refuses any other one, and a scope about which the caller may not ask.
    pub(super) fn parse(mut params: Params, mode: Mode, caller: Caller) -> Result<Self, Problem> {
        let request = Self { asked: params.asked()?, scope: params.scope(mode)? };
        params.finish()?;
        caller.require_scope(&request.scope, mode)?;
        Ok(request)
    }

    /// Answers the request about this user or customer.
    pub(super) async fn answer_one(
        &self,
        app: &AppState,
        holder: AccessHolder,
    ) -> Result<(Position, HolderAccess), Problem> {
        let (stamp, access) = app.access.read(&self.scope, holder.clone()).await?;
        let all_known = self.all_known(app, std::slice::from_ref(&access)).await?;
        let now = app.clock.now().to_stripe_time();
        Ok((stamp.position, self.answer(holder, &access, all_known, now)))
    }

    /// Answers the request about these users and customers, in their order.
    pub(super) async fn answer_all(
        &self,
        app: &AppState,
        holders: Vec<AccessHolder>,
    ) -> Result<(Position, Vec<HolderAccess>), Problem> {
        let (stamp, accesses) = app.store.read_model.user_access(&self.scope, &holders).await?;
        if accesses.iter().map(UserAccess::covered).sum::<usize>() > COVERED_MAX {
            let detail = format!(
                "the answer would list more than {COVERED_MAX} items and features: ask about fewer at once"
            );
            return Err(Problem::new(ProblemType::QuestionTooLarge, detail));
        }
        let all_known = self.all_known(app, &accesses).await?;
        let now = app.clock.now().to_stripe_time();
        let answers = holders.into_iter().zip(&accesses);
        let answers = answers.map(|(holder, access)| self.answer(holder, access, all_known, now));
        Ok((stamp.position, answers.collect()))
    }

    /// True if all holders are known: the ledger has a subscription of each, or a backfill has read the account. A
    /// problem if one is not, and the settings refuse an answer then.
    async fn all_known(&self, app: &AppState, accesses: &[UserAccess]) -> Result<bool, Problem> {
        let all_known = accesses.iter().all(|access| access.subscriptions() > 0)
            || app.coverage.is_backfilled(&self.scope).await?;
        require_known(app, all_known, &self.scope)?;
        Ok(all_known)
    }

    fn answer(
        &self,
        holder: AccessHolder,
        access: &UserAccess,
        all_known: bool,
        now: StripeTime,
    ) -> HolderAccess {
        let (user_id, customer_id) = match holder {
            AccessHolder::User(id) => (Some(id), None),
            AccessHolder::Customer(id) => (None, Some(id)),
        };
        HolderAccess {
            user_id,
            customer_id,
            mode: Mode::from_livemode(self.scope.livemode).as_str(),
            answer: access.answer(&self.asked, now),
            known: all_known || access.subscriptions() > 0,
        }
    }
}
