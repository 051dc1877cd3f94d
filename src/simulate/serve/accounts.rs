//! `/v1/accounts`: the connected accounts of the plan, in either mode.

use std::collections::BTreeSet;

use super::call::{Answer, Call};
use super::error::ApiError;
use super::paging::Paging;
use crate::simulate::wire::{NULL, Object, object};

/// Id of the platform's own account.
pub const PLATFORM_ACCOUNT: &str = "acct_1SimPlatform0000";

/// `GET /v1/accounts`.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let paging = Paging::take(&mut call.params)?;
    call.params.finish()?;
    let created = call.stripe.start();
    let known: BTreeSet<&str> = call.stripe.connected_accounts().collect();
    let entries = known.into_iter().rev().filter(|_| paging.created.contains(created));
    let entries = entries.map(|id| (id.to_owned(), render(id, created))).collect();
    call.short_page(&paging, entries)
}

/// `GET /v1/accounts/{id}`.
pub(super) fn get(call: &mut Call<'_>) -> Answer {
    call.params.finish()?;
    let known = call.stripe.connected_accounts().chain([PLATFORM_ACCOUNT]);
    let found = known.into_iter().find(|id| *id == call.id);
    let id = found.ok_or_else(|| ApiError::missing("account", call.id))?;
    Ok(call.text(&render(id, call.stripe.start())))
}

/// `GET /v1/account`.
pub(super) fn own(call: &mut Call<'_>) -> Answer {
    call.params.finish()?;
    let id = if call.account.is_empty() { PLATFORM_ACCOUNT } else { call.account };
    Ok(call.text(&render(id, call.stripe.start())))
}

fn render(id: &str, created: i64) -> Object {
    object! {
        "id": id.to_owned(),
        "object": "account",
        "business_type": NULL,
        "charges_enabled": true,
        "country": "DE",
        "created": created,
        "default_currency": "usd",
        "details_submitted": true,
        "email": NULL,
        "metadata": Object::EMPTY,
        "payouts_enabled": true,
        "type": "standard",
    }
}
