//! Lists inside objects, of which Stripe shows ten elements at most.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::list::id_of;
use super::{ApiClient, ApiError};
use crate::ids::AccountId;

/// Greatest number of pages that complete a list: 10,000 elements.
const PAGES_MAX: u32 = 100;

/// Places in the text of an object.
struct InnerList {
    data: Range<usize>,
    has_more: Option<Range<usize>>,
    is_cut: bool,
    is_empty: bool,
    last_id: Option<String>,
}

impl ApiClient {
    /// Completes the `items` of a subscription and the `lines` of an invoice if Stripe cut them short. Any other object
    /// is returned unchanged. [`ApiError::AgedOut`] means that the list has changed since: read the object again.
    pub async fn complete<'a>(
        &self,
        object: &'a str,
        account: Option<&AccountId>,
    ) -> Result<Cow<'a, str>, ApiError> {
        #[derive(Deserialize)]
        struct Header<'a> {
            #[serde(borrow)]
            object: Cow<'a, str>,
            #[serde(borrow)]
            id: Cow<'a, str>,
        }
        let Ok(header) = serde_json::from_str::<Header<'_>>(object) else {
            return Ok(object.into());
        };
        let id = &*header.id;
        let lines = format!("/v1/invoices/{id}/lines");
        let (field, path, query) = match &*header.object {
            "subscription" => ("items", "/v1/subscription_items", &[("subscription", id)][..]),
            "invoice" => ("lines", &*lines, &[][..]),
            _ => return Ok(object.into()),
        };
        let Some(list) = InnerList::find(object, field).filter(|it| it.is_cut) else {
            return Ok(object.into());
        };
        let (mut rest, mut after) = (Vec::new(), list.last_id);
        for _ in 0..PAGES_MAX {
            let page = self.list_page(path, query, after.as_deref(), account).await?;
            rest.extend(page.objects);
            if !page.has_more {
                let rest: Vec<&RawValue> = rest.iter().map(|it| &**it).collect();
                return Ok(splice_inner_list(object, field, &rest).into());
            }
            after = page.last_id;
        }
        Err(ApiError::TooManyPages { path: path.to_owned(), pages: PAGES_MAX })
    }
}

/// Appends elements to the list in `field` of an object, and sets its `has_more` to false. All other bytes stay. An
/// object without such a list stays unchanged.
pub fn splice_inner_list(object: &str, field: &str, rest: &[&RawValue]) -> String {
    let Some(list) = InnerList::find(object, field) else {
        return object.to_owned();
    };
    // The new elements follow the last one; white space before the bracket stays there.
    let before_bracket = &object[..list.data.end - 1];
    let elements_end = before_bracket.trim_end().len();
    let mut elements = String::new();
    for element in rest {
        if !elements.is_empty() || !list.is_empty {
            elements.push(',');
        }
        elements.push_str(element.get());
    }
    let mut edits = vec![(elements_end..elements_end, elements)];
    edits.extend(list.has_more.map(|place| (place, "false".to_owned())));
    // From the end, so that the places before stay right.
    edits.sort_by_key(|(place, _)| std::cmp::Reverse(place.start));
    let mut spliced = object.to_owned();
    for (place, text) in edits {
        spliced.replace_range(place, &text);
    }
    spliced
}

impl InnerList {
    fn find(object: &str, field: &str) -> Option<Self> {
        let list = *fields(object)?.get(field)?;
        let fields = fields(list.get())?;
        let (data, has_more) = (*fields.get("data")?, fields.get("has_more").copied());
        let elements: Vec<&RawValue> = serde_json::from_str(data.get()).ok()?;
        Some(Self {
            data: place(object, data),
            has_more: has_more.map(|it| place(object, it)),
            is_cut: has_more.is_some_and(|it| it.get() == "true"),
            is_empty: elements.is_empty(),
            last_id: elements.last().and_then(|it| id_of(it.get())),
        })
    }
}

/// Fields of an object. The values borrow from the text.
fn fields(object: &str) -> Option<HashMap<String, &RawValue>> {
    serde_json::from_str(object).ok()
}

/// Place of a value in the text that it borrows from.
fn place(text: &str, value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr().addr() - text.as_ptr().addr();
    start..start + value.get().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spliced(object: &str, rest: &[&str]) -> String {
        let rest: Vec<Box<RawValue>> =
            rest.iter().map(|it| RawValue::from_string((*it).to_owned()).unwrap()).collect();
        let rest: Vec<&RawValue> = rest.iter().map(|it| &**it).collect();
        splice_inner_list(object, "items", &rest)
    }

    #[test]
    fn elements_are_appended_and_all_other_bytes_stay() {
        let object = "{\"id\": \"sub_1\", \"a\": 1.50,\n \"items\": {\n  \"data\": [\n    {\"id\":\"ä]\"}\n  ],\n  \
                      \"has_more\": true, \"url\": \"/x\"\n }, \"has_more\": true , \"data\":[ ] }";
        let expected = "{\"id\": \"sub_1\", \"a\": 1.50,\n \"items\": {\n  \"data\": [\n    {\"id\":\"ä]\"},{ \"id\":2 },{}\n  ],\n  \
                        \"has_more\": false, \"url\": \"/x\"\n }, \"has_more\": true , \"data\":[ ] }";
        assert_eq!(spliced(object, &["{ \"id\":2 }", "{}"]), expected);
    }

    #[test]
    fn the_order_of_the_fields_and_the_number_of_elements_do_not_matter() {
        for (object, rest, expected) in [
            (
                r#"{"items":{"has_more":true,"data":[1]}}"#,
                &["2", "3"][..],
                r#"{"items":{"has_more":false,"data":[1,2,3]}}"#,
            ),
            (
                r#"{"items":{"has_more":true,"data":[ ]}}"#,
                &["2"],
                r#"{"items":{"has_more":false,"data":[2 ]}}"#,
            ),
            (
                r#"{"items":{"data":[1],"has_more":true}}"#,
                &[],
                r#"{"items":{"data":[1],"has_more":false}}"#,
            ),
            (r#"{"items":{"data":[1]}}"#, &["2"], r#"{"items":{"data":[1,2]}}"#),
            (r#"{"it\u0065ms":{"data":[]}}"#, &["2"], r#"{"it\u0065ms":{"data":[2]}}"#),
        ] {
            assert_eq!(spliced(object, rest), expected);
        }
    }

    #[test]
    fn an_object_without_such_a_list_stays_unchanged() {
        for object in ["{}", r#"{"items":null}"#, r#"{"items":{"data":{}}}"#, "[]", "no JSON"] {
            assert_eq!(spliced(object, &["1"]), object);
        }
    }
}
