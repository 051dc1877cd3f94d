//! Errors of the fold. Their messages contain no data of the event.

use serde_path_to_error::{Path, Segment};

use crate::stripe::json::Text;
use crate::stripe::{Envelope, EnvelopeError, ObjectType};

/// Reason why an event could not be folded.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The logged body is not an event.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// A field of the object has a wrong type, or a required one is missing.
    #[error("{object_type}: {detail}")]
    Shape {
        /// The object's type.
        object_type: ObjectType,
        /// The field, and what is wrong with it.
        detail: String,
        /// JSON pointer from the object to the field; empty for the object itself, none if it is unknown.
        pointer: Option<String>,
    },
    /// The event has no object, and its type needs one.
    #[error("the event carries no object")]
    NoObject,
    /// The row of the log is damaged.
    #[error("{0}")]
    Damaged(String),
    /// Reading it failed by a defect of this program.
    #[error("a defect of this program; its log says more")]
    Defect,
}

/// Reads an event and its object of this type. None if the object says that it has another type, or the event
/// only has a reference. Stripe may add event types under a known prefix whose objects have another type, such
/// as `customer.subscription.item.*`.
pub(super) fn read<'a, T: serde::Deserialize<'a>>(
    object_type: ObjectType,
    body: &'a str,
    stated_type: impl Fn(&T) -> Option<&Text<'a>>,
) -> Result<Option<(Envelope<'a, ()>, T)>, FoldError> {
    let Ok(event) = Envelope::<T>::read(body) else {
        return check_other_type::<T>(object_type, body).map(|()| None);
    };
    let (envelope, object) = event.split();
    match object {
        _ if envelope.is_thin => Ok(None),
        None => Err(FoldError::NoObject),
        Some(object) => {
            let is_other = stated_type(&object).is_some_and(|said| **said != *object_type.as_str());
            Ok((!is_other).then_some((envelope, object)))
        }
    }
}

/// Finds the error of an event that could not be read in one pass. None if its object has another type.
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
    if envelope.is_thin {
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

/// Describes the wrong field, without its value, which may be personal data. Reads the object again, because
/// tracking the path is slow.
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
            FoldError::Shape { object_type, detail: describe(error), pointer }
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

fn describe(error: serde_path_to_error::Error<serde_json::Error>) -> String {
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
                // The name is that of a Rust type.
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
