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

    /// Answers the request about these users and customers, in their order.
    ///
    /// A holder is known if the ledger has a subscription of them, or a backfill has read the account.
    pub(super) async fn answer(
        &self,
        app: &AppState,
        holders: Vec<AccessHolder>,
    ) -> Result<(Position, Vec<HolderAccess>), Problem> {
        let Self { scope, asked } = self;
        let (stamp, accesses) = app.store.read_model.user_access(scope, &holders).await?;
        if accesses.iter().map(UserAccess::covered).sum::<usize>() > COVERED_MAX {
            let detail = format!(
                "the answer would list more than {COVERED_MAX} items and features: ask about fewer at once"
            );
            return Err(Problem::new(ProblemType::QuestionTooLarge, detail));
        }
        let all_known = accesses.iter().all(|access| access.subscriptions() > 0)
            || app.coverage.is_backfilled(scope).await?;
        require_known(app, all_known, scope)?;
        let now = app.clock.now().to_stripe_time();
        let mode = Mode::from_livemode(scope.livemode).as_str();
        let answers = holders.into_iter().zip(&accesses).map(|(holder, access)| {
            let (user_id, customer_id) = match holder {
                AccessHolder::User(id) => (Some(id), None),
                AccessHolder::Customer(id) => (None, Some(id)),
            };
            let known = all_known || access.subscriptions() > 0;
            HolderAccess { user_id, customer_id, mode, answer: access.answer(asked, now), known }
        });
        Ok((stamp.position, answers.collect()))
    }
}
