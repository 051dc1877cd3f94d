//! `/v1/checkout/sessions`.

use super::call::{Answer, Call};
use super::collection::Group;
use super::error::ApiError;
use super::paging::Paging;
use crate::simulate::objects::checkout_session::CheckoutSession;

/// `GET /v1/checkout/sessions`.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let customer = call.params.take("customer");
    let subscription = call.params.take("subscription");
    let status = call.params.take("status");
    let paging = Paging::take(&mut call.params)?;
    call.params.finish()?;
    let keep = |it: &CheckoutSession| status.as_ref().is_none_or(|status| it.status == status);
    let groups =
        [(Group::Subscription, subscription.as_deref()), (Group::Customer, customer.as_deref())];
    call.page(&call.shelf.sessions, &paging, &groups, keep, |it| call.render(it))
}

/// `GET /v1/checkout/sessions/{id}`.
pub(super) fn get(call: &mut Call<'_>) -> Answer {
    call.params.finish()?;
    let found = call.shelf.sessions.get(call.id);
    Ok(call.render(found.ok_or_else(|| ApiError::missing("checkout.session", call.id))?))
}
