//! `/v1/invoices`.

use super::call::{Answer, Call};
use super::collection::Group;
use super::error::ApiError;
use super::paging::Paging;
use crate::simulate::objects::invoice::Invoice;

/// `GET /v1/invoices`.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let customer = call.params.take("customer");
    let subscription = call.params.take("subscription");
    let status = call.params.take("status");
    let collection_method = call.params.take("collection_method");
    let paging = Paging::take(&mut call.params)?;
    call.params.finish()?;
    let keep = |it: &Invoice| {
        let method = if it.due_date.is_some() { "send_invoice" } else { "charge_automatically" };
        status.as_ref().is_none_or(|status| it.status.as_str() == status)
            && collection_method.as_ref().is_none_or(|wanted| wanted == method)
    };
    // The subscription is first: it has fewer invoices than its customer.
    let groups =
        [(Group::Subscription, subscription.as_deref()), (Group::Customer, customer.as_deref())];
    call.page(&call.shelf.invoices, &paging, &groups, keep, |it| call.render(it))
}

/// `GET /v1/invoices/{id}`.
pub(super) fn get(call: &mut Call<'_>) -> Answer {
    call.params.finish()?;
    Ok(call.render(find(call)?))
}

/// `GET /v1/invoices/{id}/lines`.
pub(super) fn lines(call: &mut Call<'_>) -> Answer {
    let paging = Paging::take_without_created(&mut call.params)?;
    call.params.finish()?;
    let invoice = find(call)?;
    let lines = invoice.lines.iter();
    let lines =
        lines.map(|line| (line.id.clone(), invoice.render_line(line, call.version))).collect();
    call.short_page(&paging, lines)
}

fn find<'a>(call: &Call<'a>) -> Result<&'a Invoice, ApiError> {
    call.shelf.invoices.get(call.id).ok_or_else(|| ApiError::missing("invoice", call.id))
}
