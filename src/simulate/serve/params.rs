//! Parameters of a request. Each is taken once; what is left is unknown.

use std::collections::BTreeMap;

use super::error::ApiError;
use super::paging::Span;

/// Parameters of a query or a form, in their order.
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Parses a query or a form.
    pub(super) fn parse(encoded: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// Takes a parameter.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let index = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.remove(index).1)
    }

    /// Takes a parameter that must be there.
    pub(super) fn require(&mut self, name: &'static str) -> Result<String, ApiError> {
        self.take(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            ApiError::invalid(format!("Missing required param: {name}."))
                .code("parameter_missing")
                .param(name)
        })
    }

    /// Takes an integer.
    pub(super) fn take_integer(&mut self, name: &str) -> Result<Option<i64>, ApiError> {
        self.take(name).map(|text| integer(name, &text)).transpose()
    }

    /// Takes `true` or `false`.
    pub(super) fn take_bool(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        let text = self.take(name);
        text.map(|text| {
            text.parse().map_err(|_| {
                ApiError::invalid(format!("Invalid boolean: {text}"))
                    .code("parameter_invalid_boolean")
                    .param(name)
            })
        })
        .transpose()
    }

    /// Takes a time or its limits: `name`, `name[gt]`, `name[gte]`, `name[lt]`, `name[lte]`.
    pub(super) fn take_span(&mut self, name: &str) -> Result<Span, ApiError> {
        let mut span = Span::ALL;
        if let Some(exact) = self.take_integer(name)? {
            span = Span { low: exact, high: exact };
        }
        let mut limit = |suffix: &str| self.take_integer(&format!("{name}[{suffix}]"));
        if let Some(limit) = limit("gt")? {
            span.low = span.low.max(limit.saturating_add(1));
        }
        if let Some(limit) = limit("gte")? {
            span.low = span.low.max(limit);
        }
        if let Some(limit) = limit("lt")? {
            span.high = span.high.min(limit.saturating_sub(1));
        }
        if let Some(limit) = limit("lte")? {
            span.high = span.high.min(limit);
        }
        Ok(span)
    }

    /// Takes all values of a list: `name[]`, or `name[0]`, `name[1]`, ….
    pub(super) fn take_list(&mut self, name: &str) -> Vec<String> {
        let mut taken = Vec::new();
        self.0.retain_mut(|(key, value)| {
            let index = key.strip_prefix(name).and_then(|rest| rest.strip_prefix('['));
            let index = index.and_then(|rest| rest.strip_suffix(']'));
            let belongs = index.is_some_and(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
            if belongs {
                taken.push(std::mem::take(value));
            }
            !belongs
        });
        taken
    }

    /// Takes all entries of a map: `name[key]`.
    pub(super) fn take_map(&mut self, name: &str) -> BTreeMap<String, String> {
        let mut taken = BTreeMap::new();
        self.0.retain_mut(|(key, value)| {
            let inner = key.strip_prefix(name).and_then(|rest| rest.strip_prefix('['));
            let inner = inner.and_then(|rest| rest.strip_suffix(']')).map(str::to_owned);
            let belongs = inner.is_some();
            taken.extend(inner.map(|key| (key, std::mem::take(value))));
            !belongs
        });
        taken
    }

    /// Refuses what was not taken.
    pub(super) fn finish(&self) -> Result<(), ApiError> {
        self.0.first().map_or(Ok(()), |(name, _)| {
            let top = name.split('[').next().unwrap_or(name);
            Err(ApiError::invalid(format!("Received unknown parameter: {top}"))
                .code("parameter_unknown")
                .param(name.as_str()))
        })
    }
}

fn integer(name: &str, text: &str) -> Result<i64, ApiError> {
    text.parse().map_err(|_| ApiError::integer(name, format!("Invalid integer: {text}")))
}
