//! Decision whether the ledger knows a user or customer: silence is not "no".

use super::AppState;
use super::problem::{Problem, ProblemType};
use crate::config::UnknownUser;
use crate::coverage::backfill_command;
use crate::ids::Scope;
use crate::store::{AccessAnswer, AccessQuestion, ItemFilter};

/// True if the ledger has a subscription of the holder, or a backfill has read the account in the mode asked for.
///
/// A link between user and customer alone is not enough: without a backfill the customer may have subscriptions that no
/// webhook has told of. `is_narrowed` says that the question was about an item, or the
/// page is not the first one.
pub(super) async fn is_known(
    app: &AppState,
    question: &AccessQuestion,
    is_narrowed: bool,
    answer: &AccessAnswer,
) -> Result<bool, Problem> {
    if !answer.rows.is_empty() || app.coverage.is_backfilled(&question.scope).await? {
        return Ok(true);
    }
    if !is_narrowed {
        return Ok(false);
    }
    let any = AccessQuestion { item: ItemFilter::default(), ..question.clone() };
    let (_, answer) = app.store.read_model.access(&any, None, 1).await?;
    Ok(!answer.rows.is_empty())
}

/// Refuses an answer about somebody whom the ledger does not know, if the settings say so.
pub(super) fn require_known(app: &AppState, is_known: bool, scope: &Scope) -> Result<(), Problem> {
    if is_known || app.unknown == UnknownUser::Answer {
        return Ok(());
    }
    let detail = format!(
        "not in the ledger, and no backfill has read the account in this mode: run `{}`",
        backfill_command(scope)
    );
    Err(Problem::new(ProblemType::NotCovered, detail))
}
