//! Parameters that all lists share: limit, cursor and time of creation.

use super::error::ApiError;
use super::params::Params;

/// Number of objects on a page without `limit`.
const LIMIT_DEFAULT: usize = 10;
/// Greatest number of objects on a page.
const LIMIT_MAX: i64 = 100;

/// Page that a request asks for.
#[derive(Clone, Debug)]
pub(super) struct Paging {
    pub(super) limit: usize,
    pub(super) cursor: Option<Cursor>,
    pub(super) created: Span,
}

/// Object next to the page.
#[derive(Clone, Debug)]
pub(super) enum Cursor {
    /// `starting_after`: the page begins after it.
    After(String),
    /// `ending_before`: the page ends before it.
    Before(String),
}

/// Span of time in Unix seconds; both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) low: i64,
    pub(super) high: i64,
}

impl Cursor {
    /// Id of the object.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::After(id) | Self::Before(id) => id,
        }
    }

    /// Name of the parameter.
    pub(super) const fn param(&self) -> &'static str {
        match self {
            Self::After(_) => "starting_after",
            Self::Before(_) => "ending_before",
        }
    }

    /// Error of a cursor that names no object.
    pub(super) fn missing(&self) -> ApiError {
        ApiError::invalid(format!("No such object: '{}'", self.id()))
            .code("resource_missing")
            .param(self.param())
    }
}

impl Span {
    /// All times.
    pub(super) const ALL: Self = Self { low: i64::MIN, high: i64::MAX };

    /// True if the time belongs to it.
    pub(super) const fn contains(self, time: i64) -> bool {
        self.low <= time && time <= self.high
    }
}

impl Paging {
    /// Takes the parameters of a list of objects with a time of creation.
    pub(super) fn take(params: &mut Params) -> Result<Self, ApiError> {
        let created = params.take_span("created")?;
        Ok(Self { created, ..Self::take_without_created(params)? })
    }

    /// Takes the parameters of a list of objects without a time of creation.
    pub(super) fn take_without_created(params: &mut Params) -> Result<Self, ApiError> {
        let limit = match params.take_integer("limit")? {
            None => LIMIT_DEFAULT,
            Some(limit) if limit > LIMIT_MAX => {
                let text = format!("This value must be less than or equal to {LIMIT_MAX}.");
                return Err(ApiError::integer("limit", text));
            }
            Some(limit) => {
                usize::try_from(limit).ok().filter(|limit| *limit > 0).ok_or_else(|| {
                    ApiError::integer("limit", "This value must be greater than or equal to 1.")
                })?
            }
        };
        let after = params.take("starting_after").map(Cursor::After);
        let before = params.take("ending_before").map(Cursor::Before);
        if after.is_some() && before.is_some() {
            let text =
                "You may only specify one of these parameters: ending_before, starting_after.";
            return Err(ApiError::invalid(text));
        }
        Ok(Self { limit, cursor: after.or(before), created: Span::ALL })
    }

    /// Part of a short list in its order, and true if there is more.
    pub(super) fn of<T>(
        &self,
        entries: Vec<(String, T)>,
    ) -> Result<(Vec<(String, T)>, bool), ApiError> {
        let mut range = 0..entries.len();
        if let Some(cursor) = &self.cursor {
            let found = entries.iter().position(|(id, _)| id == cursor.id());
            let position = found.ok_or_else(|| cursor.missing())?;
            match cursor {
                Cursor::After(_) => range.start = position + 1,
                Cursor::Before(_) => range.end = position,
            }
        }
        let has_more = range.len() > self.limit;
        if has_more && matches!(self.cursor, Some(Cursor::Before(_))) {
            range.start = range.end - self.limit;
        }
        let page = entries.into_iter().skip(range.start).take(range.len().min(self.limit));
        Ok((page.collect(), has_more))
    }
}
