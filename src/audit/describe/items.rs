//! The items of a subscription that has several; a single one is told by the fields of its row.

use super::price::{self, Price};
use crate::projection::row::ItemRow;

/// What differs between the items before and after.
pub(super) fn sentences(before: &[ItemRow], after: &[ItemRow]) -> Vec<String> {
    if before == after || (before.len() <= 1 && after.len() <= 1) {
        return Vec::new();
    }
    let mut sentences = Vec::new();
    let find = |items: &[ItemRow], id: &ItemRow| items.iter().position(|it| key(it) == key(id));
    for item in after {
        match find(before, item).map(|at| &before[at]) {
            None => sentences.push(format!("item added: {}", in_words(item))),
            Some(old) => sentences.extend(changed(old, item)),
        }
    }
    let gone = before.iter().filter(|item| find(after, item).is_none());
    sentences.extend(gone.map(|item| format!("item removed: {}", in_words(item))));
    if sentences.is_empty() {
        sentences.push("items: in another order".to_owned());
    }
    sentences
}

/// What makes it the same item: its id, or the price where it has none.
fn key(item: &ItemRow) -> Option<&String> {
    item.item_id.as_ref().or(item.price_id.as_ref())
}

fn changed(old: &ItemRow, new: &ItemRow) -> Vec<String> {
    let name = || Price::of_item(new).in_words().unwrap_or_else(|| "item".to_owned());
    let mut sentences = price::sentences("item", &Price::of_item(old), &Price::of_item(new));
    if old.quantity != new.quantity {
        let number =
            |quantity: Option<i64>| quantity.map_or("none".to_owned(), |it| it.to_string());
        let (old, new) = (number(old.quantity), number(new.quantity));
        sentences.push(format!("{}: quantity {old} → {new}", name()));
    }
    // The period of all of them is the row's; one that moved alone is worth a word.
    if sentences.is_empty() && old != new {
        let end = new.current_period_end.map(super::instant);
        sentences.push(format!("{}: period until {}", name(), end.as_deref().unwrap_or("none")));
    }
    sentences
}

fn in_words(item: &ItemRow) -> String {
    let price = Price::of_item(item).in_words().unwrap_or_else(|| "without a price".to_owned());
    match item.quantity {
        Some(quantity) if quantity != 1 => format!("{price} × {quantity}"),
        _ => price,
    }
}
