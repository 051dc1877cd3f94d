//! `POST /v1/access`: access of many users and customers at once.
//!
//! It is a POST because a thousand ids do not fit into an address. It changes nothing.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::SharedState;
use super::access_answer::{AccessParams, HolderAccess};
use super::auth::Caller;
use super::body_budget::BODY_BYTES_MAX;
use super::conditional::CACHE_CONTROL;
use super::freshness::AtPosition;
use super::params::Params;
use super::problem::{Problem, ProblemType};
use crate::ids::{CustomerId, Position};
use crate::store::AccessHolder;

/// Greatest number of ids in a request, of users and customers together.
const IDS_MAX: usize = 1_000;

/// Form of a question, for messages.
const FORM: &str = "the body must be {\"users\":[\"…\"],\"customers\":[\"…\"]}, each id a text that is not empty and has \
                    no U+0000";

/// Users and customers that are asked about.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Question {
    users: Ids,
    customers: Ids,
}

/// Ids, at most one more than the limit: the rest of a longer list is not kept.
#[derive(Debug, Default)]
struct Ids(Vec<String>);

#[derive(Serialize)]
struct Answers {
    data: Vec<HolderAccess>,
    position: Position,
}

#[tracing::instrument(name = "access", level = "debug", skip_all)]
pub(super) async fn post(
    State(app): SharedState,
    Extension(caller): Extension<Caller>,
    params: Params,
    request: Request,
) -> Result<AtPosition<Response>, Problem> {
    let body = app.question_budget.read(request.into_body()).await.map_err(of_question)?;
    let params = AccessParams::parse(params, app.mode, caller)?;
    let (bytes, share) = body.into_verified();
    let holders = Question::parse(&bytes)?.into_holders();
    drop((bytes, share));
    let (position, data) = params.answer_all(&app, holders).await?;
    let answers = Json(Answers { data, position });
    Ok(AtPosition(position, ([CACHE_CONTROL], answers).into_response()))
}

/// Problem of a body, so that a large one is not counted among the refused webhooks.
fn of_question(problem: Problem) -> Problem {
    if problem.kind() != ProblemType::BodyTooLarge {
        return problem;
    }
    let detail = format!("the body has more than {BODY_BYTES_MAX} bytes");
    Problem::new(ProblemType::QuestionTooLarge, detail).closing()
}

impl Question {
    /// Parses the body. No message contains a part of it.
    fn parse(body: &[u8]) -> Result<Self, Problem> {
        let malformed =
            |place: &str| Problem::new(ProblemType::BadQuestion, format!("{place}{FORM}"));
        // A list of lists would be read as the fields in their order.
        if body.trim_ascii_start().starts_with(b"[") {
            return Err(malformed(""));
        }
        let question: Self = serde_json::from_slice(body).map_err(|error| {
            malformed(&format!("line {}, column {}: ", error.line(), error.column()))
        })?;
        if question.users.0.len() + question.customers.0.len() > IDS_MAX {
            let detail = format!("users and customers: ask about at most {IDS_MAX} ids at once");
            return Err(Problem::new(ProblemType::QuestionTooLarge, detail));
        }
        Ok(question)
    }

    /// Users in their order, then customers in theirs.
    fn into_holders(self) -> Vec<AccessHolder> {
        let users = self.users.0.into_iter().map(AccessHolder::User);
        let customers =
            self.customers.0.into_iter().map(|id| AccessHolder::Customer(CustomerId::new(id)));
        users.chain(customers).collect()
    }
}

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Ids;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of ids")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Ids, A::Error> {
                let mut ids = Vec::new();
                while let Some(id) = list.next_element::<String>()? {
                    if id.is_empty() || id.contains('\0') {
                        return Err(A::Error::custom("not an id"));
                    }
                    ids.push(id);
                    if ids.len() > IDS_MAX {
                        while list.next_element::<IgnoredAny>()?.is_some() {}
                        break;
                    }
                }
                Ok(Ids(ids))
            }
        }

        deserializer.deserialize_seq(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Question, (ProblemType, String)> {
        Question::parse(body.as_bytes()).map_err(|problem| (problem.kind(), format!("{problem:?}")))
    }

    fn of(users: usize, customers: usize) -> String {
        let ids = |count: usize| serde_json::to_string(&vec!["x"; count]).unwrap();
        format!("{{\"users\":{},\"customers\":{}}}", ids(users), ids(customers))
    }

    #[test]
    fn a_thousand_ids_are_a_question_and_one_more_is_not() {
        for (users, customers, is_question) in
            [(0, 0, true), (600, 400, true), (1_000, 0, true), (0, 1_001, false), (501, 500, false)]
        {
            match parse(&of(users, customers)) {
                Ok(question) => {
                    assert!(is_question);
                    assert_eq!(question.into_holders().len(), users + customers);
                }
                Err((kind, detail)) => {
                    assert!(!is_question && detail.contains("at most 1000 ids"), "{detail}");
                    assert_eq!(kind, ProblemType::QuestionTooLarge);
                }
            }
        }
        assert!(parse("{}").unwrap().into_holders().is_empty());
    }

    #[test]
    fn what_is_no_question_is_refused_without_repeating_it() {
        for body in [
            "",
            "{\"users\":[\"secret\"",
            "{\"users\":[\"secret\"]} secret",
            "[\"secret\"]",
            "[[\"secret\"],[]]",
            "{\"usres\":[\"secret\"]}",
            "{\"users\":\"secret\"}",
            "{\"users\":[{\"secret\":1}]}",
            "{\"users\":[7]}",
            "{\"users\":[null]}",
            "{\"users\":null}",
            "{\"users\":[\"\"]}",
            "{\"users\":[\"secret\\u0000\"]}",
            "{\"users\":[],\"users\":[\"secret\"]}",
        ] {
            let (found, detail) = parse(body).unwrap_err();
            assert_eq!(found, ProblemType::BadQuestion, "{body}");
            assert!(!detail.contains("secret"), "{detail}");
        }
        assert_eq!(
            Question::parse(b"{\"users\":[\"\xff\"]}").unwrap_err().kind(),
            ProblemType::BadQuestion
        );
    }
}
