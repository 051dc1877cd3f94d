//! `/v1/test_helpers/test_clocks`.

use super::call::{Answer, Call};
use super::error::ApiError;
use super::paging::Paging;
use crate::simulate::kept::TestClock;
use crate::simulate::wire::{NULL, Object, object};

/// `GET /v1/test_helpers/test_clocks`.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let paging = Paging::take_without_created(&mut call.params)?;
    call.params.finish()?;
    call.page(&call.shelf.clocks, &paging, &[], |_| true, |it| call.text(&render(it)))
}

/// `GET /v1/test_helpers/test_clocks/{id}`.
pub(super) fn get(call: &mut Call<'_>) -> Answer {
    call.params.finish()?;
    let found = call.shelf.clocks.get(call.id);
    Ok(call.text(&render(found.ok_or_else(|| ApiError::missing("test clock", call.id))?)))
}

fn render(clock: &TestClock) -> Object {
    object! {
        "id": &clock.id,
        "object": "test_helpers.test_clock",
        "created": clock.created,
        "deletes_after": clock.created + 30 * 86_400,
        "frozen_time": clock.frozen_time,
        "livemode": false,
        "name": NULL,
        "status": "ready",
        "status_details": Object::EMPTY,
    }
}
