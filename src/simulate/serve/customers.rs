//! `/v1/customers`.

use super::call::{Answer, Call};
use super::collection::Group;
use super::error::ApiError;
use super::paging::Paging;
use super::world::CustomerRow;
use crate::simulate::wire::object;

/// `GET /v1/customers`. Deleted ones are left out, and without `test_clock` those on test clocks.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let test_clock = call.params.take("test_clock");
    let email = call.params.take("email");
    let paging = Paging::take(&mut call.params)?;
    call.params.finish()?;
    let keep = |it: &CustomerRow| {
        !it.is_deleted
            && (test_clock.is_some() || it.customer.home.test_clock.is_none())
            && email.as_ref().is_none_or(|email| it.customer.email == *email)
    };
    let groups = [(Group::TestClock, test_clock.as_deref())];
    call.page(&call.shelf.customers, &paging, &groups, keep, |it| call.render(&it.customer))
}

/// `GET /v1/customers/{id}`, also of a deleted one.
pub(super) fn get(call: &mut Call<'_>) -> Answer {
    call.params.finish()?;
    let found = call.shelf.customers.get(call.id);
    let row = found.ok_or_else(|| ApiError::missing("customer", call.id))?;
    if row.is_deleted {
        let id = &row.customer.id;
        return Ok(call.text(&object! { "id": id, "object": "customer", "deleted": true }));
    }
    Ok(call.render(&row.customer))
}
