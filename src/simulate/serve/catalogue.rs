//! `/v1/products` and `/v1/prices`. Every product and price that was not deleted is active.

use super::call::{Answer, Call};
use super::error::ApiError;
use super::paging::Paging;
use crate::simulate::objects::product::{Offer, Product};

/// `GET /v1/products`.
pub(super) fn products(call: &mut Call<'_>) -> Answer {
    let active = call.params.take_bool("active")?;
    let ids = call.params.take_list("ids");
    let paging = Paging::take(&mut call.params)?;
    call.params.finish()?;
    let keep = |it: &Product| {
        active != Some(false) && (ids.is_empty() || ids.iter().any(|id| id == it.id))
    };
    call.page(&call.shelf.products, &paging, &[], keep, |it| call.render(it))
}

/// `GET /v1/products/{id}`.
pub(super) fn product(call: &mut Call<'_>) -> Answer {
    call.params.finish()?;
    let found = call.shelf.products.get(call.id);
    Ok(call.render(found.ok_or_else(|| ApiError::missing("product", call.id))?))
}

/// `GET /v1/prices`.
pub(super) fn prices(call: &mut Call<'_>) -> Answer {
    let active = call.params.take_bool("active")?;
    let product = call.params.take("product");
    let currency = call.params.take("currency");
    let kind = call.params.take("type");
    let lookup_keys = call.params.take_list("lookup_keys");
    let paging = Paging::take(&mut call.params)?;
    call.params.finish()?;
    let keep = |it: &Offer| {
        let is_wanted = |key: &str| lookup_keys.iter().any(|wanted| wanted == key);
        active != Some(false)
            && product.as_ref().is_none_or(|id| it.price.product == id)
            && currency.as_ref().is_none_or(|currency| it.price.currency == currency)
            && kind.as_ref().is_none_or(|kind| kind == "recurring")
            && (lookup_keys.is_empty() || it.price.lookup_key.is_some_and(is_wanted))
    };
    call.page(&call.shelf.prices, &paging, &[], keep, |it| call.render(it))
}

/// `GET /v1/prices/{id}`.
pub(super) fn price(call: &mut Call<'_>) -> Answer {
    call.params.finish()?;
    let found = call.shelf.prices.get(call.id);
    Ok(call.render(found.ok_or_else(|| ApiError::missing("price", call.id))?))
}
