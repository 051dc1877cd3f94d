//! Items of a subscription that has several. The fields of the row describe a single one.

use super::price::{self, Price};
use crate::projection::row::ItemRow;

/// Sentences about the changes of the items.
pub(super) fn sentences(before: &[ItemRow], after: &[ItemRow]) -> Vec<String> {
    if before == after || (before.len() <= 1 && after.len() <= 1) {
        return Vec::new();
    }
    let mut sentences = Vec::new();
    let find = |items: &[ItemRow], id: &ItemRow| items.iter().position(|it| key(it) == key(id));
    for item in after {
        match find(before, item).map(|at| &before[at]) {
            None => sentences.push(format!("item added: {}", describe(item))),
            Some(old) => sentences.extend(changed(old, item)),
        }
    }
    let gone = before.iter().filter(|item| find(after, item).is_none());
    sentences.extend(gone.map(|item| format!("item removed: {}", describe(item))));
    if sentences.is_empty() {
        sentences.push("items: reordered".to_owned());
    }
    sentences
}

/// Identity of an item: its id, or its price if it has none.
fn key(item: &ItemRow) -> Option<&String> {
    item.item_id.as_ref().or(item.price_id.as_ref())
}

fn changed(old: &ItemRow, new: &ItemRow) -> Vec<String> {
    let name = || Price::from_item(new).describe().unwrap_or_else(|| "item".to_owned());
    let mut sentences = price::sentences("item", &Price::from_item(old), &Price::from_item(new));
    if old.quantity != new.quantity {
        let number =
            |quantity: Option<i64>| quantity.map_or("none".to_owned(), |it| it.to_string());
        let (old, new) = (number(old.quantity), number(new.quantity));
        sentences.push(format!("{}: quantity {old} → {new}", name()));
    }
    // The period of all items is that of the row. Only an item whose period alone changed gets a sentence.
    if sentences.is_empty() && old != new {
        let end = new.current_period_end.map(super::instant);
        sentences.push(format!("{}: period until {}", name(), end.as_deref().unwrap_or("none")));
    }
    sentences
}

fn describe(item: &ItemRow) -> String {
    let price = Price::from_item(item).describe().unwrap_or_else(|| "without a price".to_owned());
    match item.quantity {
        Some(quantity) if quantity != 1 => format!("{price} × {quantity}"),
        _ => price,
    }
}
