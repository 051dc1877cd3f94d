//! Why an event could not be folded, in words for a person and without anybody's data.

use serde_path_to_error::{Path, Segment};

use crate::stripe::json::Text;
use crate::stripe::{Envelope, EnvelopeError, ObjectType};

/// Why an event of a type that is folded could not be.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The logged body is no event.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// A field of the object has an impossible type, or a needed one is missing.
    #[error("{object_type}: {detail}")]
    Shape {
        /// The object's type.
        object_type: ObjectType,
        /// The field and what is wrong with it.
        detail: String,
        /// JSON pointer to the field, from the object; empty for the object itself, none where it is unknown.
        pointer: Option<String>,
    },
    /// The object of a folded type is not there.
    #[error("the event carries no object")]
    NoObject,
    /// The row of the log that holds it is damaged.
    #[error("{0}")]
    Damaged(String),
    /// Reading it met a defect of this program.
    #[error("a defect of this program; its log says more")]
    Defect,
}

/// Reads an event and its object, which is of a kind; none where it says that it is of another, or there
/// is a reference only. New types of events appear under known prefixes and carry other objects, as
/// `customer.subscription.item.*` might.
pub(super) fn read<'a, T: serde::Deserialize<'a>>(
    object_type: ObjectType,
    body: &'a str,
    kind_of: impl Fn(&T) -> Option<&Text<'a>>,
) -> Result<Option<(Envelope<'a, ()>, T)>, FoldError> {
    let Ok(event) = Envelope::<T>::read(body) else {
        return check_other_type::<T>(object_type, body).map(|()| None);
    };
    let (envelope, object) = event.split();
    match object {
        _ if envelope.thin => Ok(None),
        None => Err(FoldError::NoObject),
        Some(object) => {
            let is_other = kind_of(&object).is_some_and(|said| **said != *object_type.as_str());
            Ok((!is_other).then_some((envelope, object)))
        }
    }
}

/// Why an event that could not be read in one pass cannot be; it can where its object is of another kind.
fn check_other_type<'a, T: serde::Deserialize<'a>>(
    object_type: ObjectType,
    body: &'a str,
) -> Result<(), FoldError> {
    #[derive(serde::Deserialize)]
    struct Kind<'a> {
        #[serde(borrow)]
        object: Option<Text<'a>>,
    }
    let envelope = Envelope::parse(body)?;
    if envelope.thin {
        return Ok(());
    }
    let object = envelope.object.ok_or(FoldError::NoObject)?.get();
    match serde_json::from_str::<Kind<'_>>(object) {
        Ok(it) if it.object.as_deref().is_some_and(|said| said != object_type.as_str()) => Ok(()),
        _ => Err(shape_error::<T>(object_type, object)),
    }
}

pub(super) fn missing(object_type: ObjectType, field: &str) -> FoldError {
    FoldError::Shape {
        object_type,
        detail: format!("missing field `{field}`"),
        pointer: Some(String::new()),
    }
}

/// Field that is wrong, and how, for a person; without the value, which may be anybody's. Read
/// again only here, because following the path costs time.
fn shape_error<'a, T: serde::Deserialize<'a>>(
    object_type: ObjectType,
    object: &'a str,
) -> FoldError {
    let mut deserializer = serde_json::Deserializer::from_str(object);
    match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Ok(_) => {
            FoldError::Shape { object_type, detail: "cannot be read".to_owned(), pointer: None }
        }
        Err(error) => {
            let pointer = pointer(error.path());
            FoldError::Shape { object_type, detail: in_words(error), pointer }
        }
    }
}

fn pointer(path: &Path) -> Option<String> {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                pointer.push('/');
                pointer.push_str(&index.to_string());
            }
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => return None,
        }
    }
    Some(pointer)
}

fn in_words(error: serde_path_to_error::Error<serde_json::Error>) -> String {
    let path = match error.path().to_string() {
        whole if whole == "." => "the object".to_owned(),
        path => format!("`{path}`"),
    };
    let message = error.into_inner().to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    match message
        .strip_prefix("invalid type: ")
        .and_then(|rest| Some((rest.split([' ', ',']).next()?, rest.rsplit_once(", expected ")?.1)))
    {
        Some((found, expected)) => {
            let found = match found {
                "integer" => "an integer",
                "floating" => "a number",
                "sequence" => "a list",
                "map" => "an object",
                "boolean" => "a truth value",
                "null" => "null",
                _ => "a string",
            };
            let expected = match expected {
                "i64" => "an integer",
                "a sequence" => "a list",
                "a boolean" => "a truth value",
                "a map" => "an object",
                // The name of a type of this program.
                _ if expected.starts_with("struct ") => "an object",
                _ => expected,
            };
            format!("{path} is {found} where {expected} belongs")
        }
        None if message.starts_with("missing field") && path == "the object" => message.to_owned(),
        None if message.starts_with("missing field") => format!("{path}: {message}"),
        None if message.starts_with("not an instant") => format!("{path} is {message}"),
        None => format!("{path} cannot be read"),
    }
}
