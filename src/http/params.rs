//! Parameters of a request: the query and the id in the path.
//!
//! Every parameter must be known, and be given once. A misspelt filter that is ignored would answer another
//! question, and could grant access.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::problem::{Problem, ProblemType};
use crate::ids::Mode;
use crate::ids::{AccountId, Scope};
use crate::projection::user_access::Asked;
use crate::store::ItemFilter;
use crate::suggest::nearest;

/// Greatest number of rows in an answer.
const LIMIT_MAX: usize = 1_000;
/// Default number of rows in an answer.
const LIMIT_DEFAULT: usize = 100;

/// Error message for an instant that cannot be read.
pub(super) const INSTANT: &str = "must be an instant such as 2026-03-01T00:00:00Z";

/// Error message for text with U+0000, which PostgreSQL cannot store.
const NO_NUL: &str = "must not contain U+0000";

fn has_nul(text: &str) -> bool {
    text.contains('\0')
}

/// Query parameters. Each is taken once, and any that remain are refused.
pub(super) struct Params {
    pairs: Vec<(String, String)>,
    /// Names of the parameters that the endpoint takes.
    known: Vec<&'static str>,
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::try_from_uri(&parts.uri).map_err(|_| {
            Problem::new(ProblemType::BadParameter, "the query is not form-encoded")
        })?;
        let pairs: Vec<(String, String)> = pairs;
        match pairs.iter().find(|(name, value)| has_nul(name) || has_nul(value)) {
            Some((name, _)) => Err(Problem::parameter(&name.replace('\0', "\u{fffd}"), NO_NUL)),
            None => Ok(Self { pairs, known: Vec::new() }),
        }
    }
}

impl Params {
    /// Takes a parameter, which may be empty.
    pub(super) fn take(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        let mut values = self.take_all(name);
        let value = values.next();
        if values.next().is_some() {
            return Err(Problem::parameter(name, "is given twice"));
        }
        Ok(value)
    }

    /// Takes a parameter that may be given several times, or hold several values separated by commas.
    pub(super) fn list(&mut self, name: &'static str) -> Result<Vec<String>, Problem> {
        let values: Vec<_> = self.take_all(name).collect();
        let texts: Vec<_> =
            values.iter().flat_map(|it| it.split(',')).map(|it| it.trim().to_owned()).collect();
        if texts.iter().any(String::is_empty) {
            return Err(Problem::parameter(name, "contains an empty value"));
        }
        Ok(texts)
    }

    fn take_all(&mut self, name: &'static str) -> impl Iterator<Item = String> {
        self.known.push(name);
        let (taken, left) =
            std::mem::take(&mut self.pairs).into_iter().partition(|(key, _)| key == name);
        self.pairs = left;
        let taken: Vec<_> = taken;
        taken.into_iter().map(|(_, value)| value)
    }

    /// Takes a parameter that must not be empty.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        match self.take(name)? {
            Some(text) if text.is_empty() => Err(Problem::parameter(name, "is empty")),
            text => Ok(text),
        }
    }

    /// Takes a parameter and parses it. `form` describes valid values in the error message.
    pub(super) fn parse<T>(
        &mut self,
        name: &'static str,
        form: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.take(name)? else { return Ok(None) };
        parse(&text).map(Some).ok_or_else(|| Problem::parameter(name, form))
    }

    /// Takes a parameter that is `true` or `false`.
    pub(super) fn boolean(&mut self, name: &'static str) -> Result<Option<bool>, Problem> {
        self.parse(name, "must be true or false", |text| bool::from_str(text).ok())
    }

    /// Takes the number of rows, from 1 to 1000; 100 by default.
    pub(super) fn limit(&mut self) -> Result<usize, Problem> {
        let limit = self.parse("limit", "must be a number from 1 to 1000", |text| {
            text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit))
        })?;
        Ok(limit.unwrap_or(LIMIT_DEFAULT))
    }

    /// Takes the key after which the page begins, as [`cursor`] wrote it.
    pub(super) fn after<T>(
        &mut self,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        self.parse("after", "must be the `next` of a previous answer", |text| {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            read(std::str::from_utf8(&bytes).ok().filter(|key| !has_nul(key))?)
        })
    }

    /// Takes the filter for an item of a subscription.
    pub(super) fn item(&mut self) -> Result<ItemFilter, Problem> {
        Ok(ItemFilter {
            price_id: self.text("price_id")?,
            product_id: self.text("product_id")?,
            lookup_key: self.text("lookup_key")?,
        })
    }

    /// Takes what access is asked to: an item, a feature, or both.
    pub(super) fn asked(&mut self) -> Result<Asked, Problem> {
        let ItemFilter { price_id, product_id, lookup_key } = self.item()?;
        Ok(Asked { price_id, product_id, lookup_key, feature: self.text("feature")? })
    }

    /// Takes the account and mode; by default the platform's own account and the configured mode.
    pub(super) fn scope(&mut self, mode: Mode) -> Result<Scope, Problem> {
        let account = self.take("account")?.unwrap_or_default();
        let livemode = self.boolean("livemode")?.unwrap_or(mode.livemode());
        Ok(Scope { account: AccountId::new(account), livemode })
    }

    /// Refuses parameters that were not taken. Must be called after all others were.
    pub(super) fn finish(self) -> Result<(), Problem> {
        let Some((name, _)) = self.pairs.first() else { return Ok(()) };
        let why = "unknown parameter";
        Err(match nearest(name, self.known) {
            Some(meant) => Problem::parameter(name, format!("{why}; did you mean {meant}?")),
            None => Problem::parameter(name, why),
        })
    }
}

/// Opaque key of the next page.
pub(super) fn cursor(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// Id in the path.
pub(super) struct PathId(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id): Path<String> = Path::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(ProblemType::NotFound, "the id in the path is not UTF-8"))?;
        if has_nul(&id) {
            return Err(Problem::parameter("the id in the path", NO_NUL));
        }
        Ok(Self(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        let uri = format!("/?{query}").parse().unwrap();
        let Query(pairs) = Query::try_from_uri(&uri).unwrap();
        Params { pairs, known: Vec::new() }
    }

    fn detail(problem: &Problem) -> String {
        format!("{problem:?}")
    }

    #[test]
    fn a_parameter_that_nobody_knows_is_refused_by_its_name() {
        let mut unknown = params("limit=2&prodct_id=prod_1");
        assert_eq!(unknown.limit().unwrap(), 2);
        assert!(detail(&unknown.finish().unwrap_err()).contains("prodct_id"));
        let mut mistyped = params("custmer=cus_1");
        assert_eq!(mistyped.text("customer_id").unwrap(), None);
        assert_eq!(mistyped.text("user_id").unwrap(), None);
        let refused = detail(&mistyped.finish().unwrap_err());
        assert!(refused.contains("did you mean customer_id?"), "{refused}");
    }

    #[test]
    fn a_list_is_given_by_commas_or_several_times() {
        let mut lists = params("status=active,past_due&limit=5&status=%20paused");
        assert_eq!(lists.list("status").unwrap(), ["active", "past_due", "paused"]);
        assert_eq!(lists.list("status").unwrap(), [""; 0]);
        assert_eq!(lists.limit().unwrap(), 5);
        for query in ["status=", "status=a,,b", "status=a,"] {
            assert!(params(query).list("status").is_err(), "{query}");
        }
    }

    #[test]
    fn a_parameter_given_twice_or_out_of_range_is_refused_by_its_name() {
        for query in ["limit=0", "limit=1001", "limit=x", "limit=", "limit=1&limit=2", "limit=-1"] {
            assert!(detail(&params(query).limit().unwrap_err()).contains("limit"), "{query}");
        }
        assert!(detail(&params("a=").text("a").unwrap_err()).contains('a'));
        assert!(params("livemode=1").boolean("livemode").is_err());
    }

    #[test]
    fn own_account_and_configured_mode_are_meant_unless_others_are_named() {
        let scope = |query: &str, mode| params(query).scope(mode).unwrap();
        let own = |livemode| Scope { account: AccountId::default(), livemode };
        assert_eq!(scope("", Mode::Live), own(true));
        assert_eq!(scope("", Mode::Test), own(false));
        assert_eq!(scope("livemode=false", Mode::Live), own(false));
        assert_eq!(scope("account=acct_1", Mode::Live).account, "acct_1".into());
    }

    #[test]
    fn a_cursor_comes_back() {
        let mut page = params(&format!("after={}", cursor("a\nb")));
        assert_eq!(page.after(|key| Some(key.to_owned())).unwrap().as_deref(), Some("a\nb"));
        assert!(params("after=%25").after(|_| Some(())).is_err());
    }
}
