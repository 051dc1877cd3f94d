//! `/v1/subscription_schedules`.

use super::call::{Answer, Call};
use super::collection::Group;
use super::error::ApiError;
use super::paging::{Paging, Span};
use crate::simulate::objects::schedule::{Schedule, Status};

/// `GET /v1/subscription_schedules`.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let customer = call.params.take("customer");
    let scheduled = call.params.take_bool("scheduled")?;
    let canceled_at = call.params.take_span("canceled_at")?;
    let completed_at = call.params.take_span("completed_at")?;
    let released_at = call.params.take_span("released_at")?;
    let paging = Paging::take(&mut call.params)?;
    call.params.finish()?;
    let keep = |it: &Schedule| {
        is_over_within(it, Status::Canceled, canceled_at)
            && is_over_within(it, Status::Completed, completed_at)
            && is_over_within(it, Status::Released, released_at)
            && scheduled != Some(it.status != Status::NotStarted)
    };
    let groups = [(Group::Customer, customer.as_deref())];
    call.page(&call.shelf.schedules, &paging, &groups, keep, |it| call.render(it))
}

/// True if it ended with this status within the span, or if every schedule is wanted.
fn is_over_within(schedule: &Schedule, status: Status, span: Span) -> bool {
    span == Span::ALL || schedule.over_at(status).is_some_and(|at| span.contains(at))
}

/// `GET /v1/subscription_schedules/{id}`.
pub(super) fn get(call: &mut Call<'_>) -> Answer {
    call.params.finish()?;
    let found = call.shelf.schedules.get(call.id);
    Ok(call.render(found.ok_or_else(|| ApiError::missing("subscription schedule", call.id))?))
}
