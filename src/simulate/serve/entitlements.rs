//! `/v1/entitlements/active_entitlements`.

use super::call::{Answer, Call};
use super::error::ApiError;
use super::paging::Paging;

/// `GET /v1/entitlements/active_entitlements?customer=`: all features, also those that a summary leaves out.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let customer = call.params.require("customer")?;
    let paging = Paging::take_without_created(&mut call.params)?;
    call.params.finish()?;
    let found = call.shelf.customers.get(&customer).filter(|row| !row.is_deleted);
    let row = found.ok_or_else(|| {
        ApiError::invalid(format!("No such customer: '{customer}'"))
            .code("resource_missing")
            .param("customer")
    })?;
    let features = &row.features;
    let entries = features.lookup_keys.iter();
    let entries =
        entries.map(|key| (features.entitlement_id(key), features.render_entitlement(key)));
    call.short_page(&paging, entries.collect())
}
