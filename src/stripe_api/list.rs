//! Pages of lists.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::RequestId;
use super::{ApiAnswer, ApiClient, ApiError};
use crate::ids::AccountId;
use crate::stripe::observation::ApiRequest;

/// Objects that a page is asked for: the most that Stripe gives.
pub const PAGE_OBJECTS_MAX: usize = 100;

/// Page of a list.
#[derive(Clone, Debug)]
pub struct ListPage {
    /// Objects in the order of the list, each with its exact bytes.
    pub objects: Vec<Box<RawValue>>,
    /// True if there are further pages, which begin after `last_id`.
    pub has_more: bool,
    /// Id of the last object. None only if the page is empty or the last one.
    pub last_id: Option<String>,
    /// Request that showed the page.
    pub request: ApiRequest,
}

impl ListPage {
    /// Ids of the objects that have one.
    pub fn ids(&self) -> impl Iterator<Item = String> {
        self.objects.iter().filter_map(|object| id_of(object.get()))
    }
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Box<RawValue>>,
    #[serde(default)]
    has_more: bool,
}

impl ApiClient {
    /// Reads the page of a list that begins after `starting_after`, or the first one.
    pub async fn list_page(
        &self,
        path: &str,
        query: &[(&str, &str)],
        starting_after: Option<&str>,
        account: Option<&AccountId>,
    ) -> Result<ListPage, ApiError> {
        let limit = PAGE_OBJECTS_MAX.to_string();
        let mut query = query.to_vec();
        query.push(("limit", &limit));
        query.extend(starting_after.map(|id| ("starting_after", id)));
        let ApiAnswer { body, request } = self.get(path, &query, account).await?;
        page(&body, starting_after, request).map_err(|request| {
            let request = RequestId(request.request_id);
            ApiError::NotAList { path: path.to_owned(), request }
        })
    }
}

/// Parses a page. A page with more behind it must lead on, or its reader would never end.
fn page(
    body: &str,
    starting_after: Option<&str>,
    request: ApiRequest,
) -> Result<ListPage, ApiRequest> {
    let Ok(Page { data, has_more }) = serde_json::from_str(body) else {
        return Err(request);
    };
    let last_id = data.last().and_then(|last| id_of(last.get()));
    if has_more && (last_id.is_none() || last_id.as_deref() == starting_after) {
        return Err(request);
    }
    Ok(ListPage { objects: data, has_more, last_id, request })
}

/// Id of an object.
pub(super) fn id_of(object: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Object {
        id: String,
    }
    serde_json::from_str::<Object>(object).ok().map(|it| it.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_a_page_keep_their_bytes() {
        let body = "{\"object\":\"list\",\"data\":[ { \"id\" : \"a\" },\n{\"id\":\"b\",\"x\":1.50}],\
                    \"has_more\":true}";
        let page = page(body, Some("z"), ApiRequest::default()).unwrap();
        let objects: Vec<_> = page.objects.iter().map(|it| it.get()).collect();
        assert_eq!(objects, ["{ \"id\" : \"a\" }", "{\"id\":\"b\",\"x\":1.50}"]);
        assert_eq!((page.has_more, page.last_id.as_deref()), (true, Some("b")));
    }

    #[test]
    fn a_page_that_does_not_lead_on_is_refused() {
        let is_page = |body, after| page(body, after, ApiRequest::default()).is_ok();
        assert!(is_page(r#"{"data":[]}"#, None));
        assert!(is_page(r#"{"data":[{"object":"balance"}],"has_more":false}"#, None));
        assert!(!is_page(r#"{"data":[],"has_more":true}"#, None));
        assert!(!is_page(r#"{"data":[{}],"has_more":true}"#, None));
        assert!(!is_page(r#"{"data":[{"id":"a"}],"has_more":true}"#, Some("a")));
        assert!(!is_page(r#"{"error":{}}"#, None));
        assert!(!is_page("[]", None));
    }
}
