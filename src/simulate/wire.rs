//! JSON as Stripe writes it.
//!
//! Two spaces a level; an empty list is `[`, an empty line, `]`; an empty object is `{`, a line
//! end, `}`; `id` and `object` come first in an object and the rest in alphabetical order. An
//! [`Object`] keeps that order, so a renderer may set its fields in any order.

use std::borrow::Cow;

/// White space of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Indented by two spaces, as Stripe sends it.
    #[default]
    Indented,
    /// No white space.
    Compact,
}

/// JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wire {
    Null,
    Bool(bool),
    Number(i64),
    Text(Cow<'static, str>),
    List(Vec<Wire>),
    Object(Object),
}

/// JSON object with its fields in Stripe's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Object(Vec<(Cow<'static, str>, Wire)>);

/// JSON null.
pub(super) const NULL: Wire = Wire::Null;
/// Empty list.
pub(super) const NONE: Wire = Wire::List(Vec::new());

impl Object {
    pub(super) const EMPTY: Self = Self(Vec::new());

    pub(super) fn with_capacity(fields: usize) -> Self {
        Self(Vec::with_capacity(fields))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = (&Cow<'static, str>, &Wire)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    pub(super) fn get(&self, key: &str) -> Option<&Wire> {
        self.find(key).ok().map(|index| &self.0[index].1)
    }

    pub(super) fn set(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<Wire>) {
        let key = key.into();
        match self.find(&key) {
            Ok(index) => self.0[index].1 = value.into(),
            Err(index) => self.0.insert(index, (key, value.into())),
        }
    }

    pub(super) fn remove(&mut self, key: &str) {
        if let Ok(index) = self.find(key) {
            self.0.remove(index);
        }
    }

    /// Body of a webhook: the object as text, without a line end after it.
    pub(super) fn to_body(&self, format: Format) -> String {
        let mut out = String::with_capacity(8 * 1024);
        match format {
            Format::Indented => write_object(self, &mut out, Some(0)),
            Format::Compact => write_object(self, &mut out, None),
        }
        out
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        // Renderers mostly set fields in order: then the new field is the last.
        match self.0.last() {
            Some((last, _)) if place(last) < place(key) => Err(self.0.len()),
            _ => self.0.binary_search_by(|(other, _)| place(other).cmp(&place(key))),
        }
    }
}

/// Sort key of a field in Stripe's order.
fn place(key: &str) -> (u8, &str) {
    match key {
        "id" => (0, key),
        "object" => (1, key),
        _ => (2, key),
    }
}

/// Literal of an object: `object! { "id": id, "object": "price" }`.
macro_rules! object {
    ($($key:literal: $value:expr),* $(,)?) => {{
        let mut object = $crate::simulate::wire::Object::with_capacity([$($key),*].len() + 4);
        $(object.set($key, $value);)*
        object
    }};
}
pub(super) use object;

/// Greatest number of entries of a list inside an object.
pub(super) const EMBEDDED_MAX: usize = 10;

/// List as Stripe embeds it: at most [`EMBEDDED_MAX`] entries, with the length and the address of the whole list.
pub(super) fn embedded_list(mut data: Vec<Wire>, url: String) -> Object {
    let total_count = i64::try_from(data.len()).unwrap_or(i64::MAX);
    let has_more = data.len() > EMBEDDED_MAX;
    data.truncate(EMBEDDED_MAX);
    object! {
        "object": "list",
        "data": data,
        "has_more": has_more,
        "total_count": total_count,
        "url": url,
    }
}

fn write(value: &Wire, out: &mut String, depth: Option<usize>) {
    match value {
        Wire::Null => out.push_str("null"),
        Wire::Bool(true) => out.push_str("true"),
        Wire::Bool(false) => out.push_str("false"),
        Wire::Number(number) => write_number(*number, out),
        Wire::Text(text) => write_text(text, out),
        Wire::List(list) => {
            write_members('[', ']', list.iter(), out, depth, |value, out, depth| {
                write(value, out, depth);
            });
        }
        Wire::Object(object) => write_object(object, out, depth),
    }
}

fn write_object(object: &Object, out: &mut String, depth: Option<usize>) {
    write_members('{', '}', object.0.iter(), out, depth, |(key, value), out, depth| {
        write_text(key, out);
        out.push_str(if depth.is_some() { ": " } else { ":" });
        write(value, out, depth);
    });
}

fn write_members<'a, T: 'a>(
    open: char,
    close: char,
    members: impl ExactSizeIterator<Item = &'a T>,
    out: &mut String,
    depth: Option<usize>,
    write_member: impl Fn(&T, &mut String, Option<usize>),
) {
    out.push(open);
    if members.len() == 0 && open == '[' && depth.is_some() {
        out.push('\n');
    }
    for (index, member) in members.enumerate() {
        if index > 0 {
            out.push(',');
        }
        new_line(out, depth.map(|depth| depth + 1));
        write_member(member, out, depth.map(|depth| depth + 1));
    }
    new_line(out, depth);
    out.push(close);
}

fn new_line(out: &mut String, depth: Option<usize>) {
    const SPACES: &str = "                                        ";
    if let Some(depth) = depth {
        out.push('\n');
        out.push_str(&SPACES[..(2 * depth).min(SPACES.len())]);
    }
}

fn write_number(number: i64, out: &mut String) {
    use std::fmt::Write as _;
    // Writing to a String cannot fail.
    let _ = write!(out, "{number}");
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    if !text.contains(['"', '\\', '\n']) {
        out.push_str(text);
        out.push('"');
        return;
    }
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            // The simulator's own texts hold no other control character.
            _ => out.push(character),
        }
    }
    out.push('"');
}

macro_rules! wire_from {
    ($($type:ty: $make:expr;)+) => {$(
        impl From<$type> for Wire {
            fn from(value: $type) -> Self {
                $make(value)
            }
        }
    )+};
}

wire_from! {
    bool: Wire::Bool;
    i64: Wire::Number;
    u32: |number| Wire::Number(i64::from(number));
    &'static str: |text| Wire::Text(Cow::Borrowed(text));
    String: |text| Wire::Text(Cow::Owned(text));
    &String: |text: &String| Wire::Text(Cow::Owned(text.clone()));
    Vec<Wire>: Wire::List;
    Object: Wire::Object;
}

impl<T: Into<Wire>> From<Option<T>> for Wire {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl<'a> From<&'a Option<String>> for Wire {
    fn from(value: &'a Option<String>) -> Self {
        value.as_ref().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Object {
        object! {
            "metadata": Object::EMPTY,
            "amount": 5_i64,
            "lines": vec![Wire::from(1_i64), NULL],
            "object": "thing",
            "tags": NONE,
            "id": "x_\"1\"",
        }
    }

    #[test]
    fn the_indented_form_is_stripes() {
        let body = "{\n  \"id\": \"x_\\\"1\\\"\",\n  \"object\": \"thing\",\n  \"amount\": 5,\n  \
                    \"lines\": [\n    1,\n    null\n  ],\n  \"metadata\": {\n  },\n  \
                    \"tags\": [\n\n  ]\n}";
        assert_eq!(sample().to_body(Format::Indented), body);
    }

    #[test]
    fn the_compact_form_has_no_white_space_and_means_the_same() {
        let compact = sample().to_body(Format::Compact);
        assert!(!compact.contains(['\n', ' ']));
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&compact), read(&sample().to_body(Format::Indented)));
    }

    #[test]
    fn setting_a_field_again_replaces_it() {
        let mut object = sample();
        object.set("amount", 6_i64);
        object.remove("id");
        assert_eq!(object.get("amount"), Some(&Wire::Number(6)));
        assert_eq!(object.get("id"), None);
    }
}
