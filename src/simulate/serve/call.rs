//! One request after its key was checked, and the pages that answer it.

use super::SimulatedStripe;
use super::collection::{Collection, Group, Listed, Page};
use super::error::ApiError;
use super::paging::Paging;
use super::params::Params;
use super::world::Shelf;
use crate::simulate::objects::Render;
use crate::simulate::version::ApiVersion;
use crate::simulate::wire::Object;

/// Request that is allowed.
pub(super) struct Call<'a> {
    pub(super) stripe: &'a SimulatedStripe,
    /// Objects of the account and mode.
    pub(super) shelf: &'a Shelf,
    /// Connected account; empty for the platform's own.
    pub(super) account: &'a str,
    pub(super) livemode: bool,
    /// Version at which objects are rendered.
    pub(super) version: ApiVersion,
    /// Second of the server's time.
    pub(super) now: i64,
    pub(super) path: &'a str,
    /// Id in the path; empty if there is none.
    pub(super) id: &'a str,
    pub(super) params: Params,
    /// Header `Idempotency-Key`.
    pub(super) idempotency_key: Option<String>,
}

/// Body of an answer 200, or an error.
pub(super) type Answer = Result<String, ApiError>;

/// Function that answers a request.
pub(super) type Handler = fn(&mut Call<'_>) -> Answer;

impl Call<'_> {
    /// Text of an object.
    pub(super) fn text(&self, object: &Object) -> String {
        object.to_body(self.stripe.format())
    }

    /// Text of an object at the version of the request.
    pub(super) fn render(&self, object: &impl Render) -> String {
        self.text(&object.render(self.version))
    }

    /// Page of a collection.
    pub(super) fn page<T: Listed>(
        &self,
        rows: &Collection<T>,
        paging: &Paging,
        groups: &[(Group, Option<&str>)],
        keep: impl Fn(&T) -> bool,
        render: impl Fn(&T) -> String,
    ) -> Answer {
        let Page { rows, has_more } = rows.page(paging, groups, keep)?;
        Ok(self.list(rows.into_iter().map(render), has_more))
    }

    /// Page of a short list of ids and objects.
    pub(super) fn short_page(&self, paging: &Paging, entries: Vec<(String, Object)>) -> Answer {
        let (entries, has_more) = paging.of(entries)?;
        Ok(self.list(entries.iter().map(|(_, object)| self.text(object)), has_more))
    }

    fn list(&self, texts: impl Iterator<Item = String>, has_more: bool) -> String {
        let mut list = String::with_capacity(64 * 1024);
        list.push_str("{\n  \"object\": \"list\",\n  \"data\": [\n");
        for (index, text) in texts.enumerate() {
            if index > 0 {
                list.push_str(",\n");
            }
            list.push_str(&text);
        }
        list.push_str("\n  ],\n  \"has_more\": ");
        list.push_str(if has_more { "true" } else { "false" });
        list.push_str(",\n  \"url\": \"");
        list.push_str(self.path);
        list.push_str("\"\n}");
        list
    }
}
