//! Conditional answers: `ETag`, `If-None-Match` and 304.
//!
//! The tag is a hash of the whole answer but for `position`, which moves with every event of anybody: an answer that
//! only repeats what the client has is 304, and `Subledger-Position` says how fresh it is. So the tag is a weak one. As
//! `active` and `until` are part of it, the tag changes in the second in which access ends.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::problem::{Problem, ProblemType};
use crate::ids::Position;

/// Answers are about one person, and a cache must ask each time whether they still hold.
pub(super) const CACHE_CONTROL: (HeaderName, HeaderValue) =
    (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));

/// Bytes of the hash in a tag.
const TAG_BYTES: usize = 16;

/// Answer with its position, or 304 if the client has it. `answer` must serialize to an object with fields.
pub(super) fn respond(
    request: &HeaderMap,
    position: Position,
    answer: &impl Serialize,
) -> Result<Response, Problem> {
    let mut body = serde_json::to_vec(answer)
        .map_err(|_| Problem::new(ProblemType::Internal, "the answer could not be written"))?;
    let tag = format!("W/\"{}\"", hex::encode(&Sha256::digest(&body)[..TAG_BYTES]));
    let is_known = is_among(request, &tag);
    let tag = HeaderValue::try_from(tag)
        .map_err(|_| Problem::new(ProblemType::Internal, "the tag could not be written"))?;
    let headers = [CACHE_CONTROL, (header::ETAG, tag)];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    // After the hash, so that it is no part of the tag.
    body.pop();
    body.extend_from_slice(format!(",\"position\":{position}}}").as_bytes());
    let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok((headers, [json], body).into_response())
}

/// True if `If-None-Match` has the tag, by the weak comparison (RFC 9110).
fn is_among(request: &HeaderMap, tag: &str) -> bool {
    let lines = request.get_all(header::IF_NONE_MATCH).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
    let strong = |it: &str| it.strip_prefix("W/").unwrap_or(it).to_owned();
    tags.any(|it| it == "*" || strong(it) == strong(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_whole_in_lists_and_weakened() {
        let mut headers = HeaderMap::new();
        assert!(!is_among(&headers, "\"a\""));
        for (line, is_known) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
            ("\"ab\"", false),
            ("", false),
        ] {
            headers.insert(header::IF_NONE_MATCH, line.parse().unwrap());
            assert_eq!(is_among(&headers, "\"a\""), is_known, "{line}");
        }
        headers.append(header::IF_NONE_MATCH, "\"a\"".parse().unwrap());
        assert!(is_among(&headers, "\"a\""));
    }

    #[test]
    fn the_tag_is_that_of_the_answer_and_not_of_the_position() {
        let tag = |position, answer: [(&str, u8); 1]| {
            let answer: std::collections::BTreeMap<_, _> = answer.into();
            let response = respond(&HeaderMap::new(), Position(position), &answer).unwrap();
            response.headers()[header::ETAG].clone()
        };
        assert_eq!(tag(1, [("a", 1)]), tag(2, [("a", 1)]));
        assert_ne!(tag(1, [("a", 1)]), tag(1, [("a", 2)]));
        assert_eq!(tag(1, [("a", 1)]).len(), 4 + 2 * TAG_BYTES);
    }
}
