//! Bearer tokens for reading.
//!
//! Tokens are compared by their hashes and in constant time, all of them each time: how long it
//! takes tells nothing about how much of a token was right.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::AppState;
use super::connection_state::ConnectionState;
use super::problem::{Problem, ProblemType};
use crate::config::{ACCESS_TOKEN, API_TOKEN, Secrets};

/// The configured tokens, as hashes.
#[derive(Clone, Default)]
pub struct Tokens {
    api: Vec<[u8; 32]>,
    access: Vec<[u8; 32]>,
}

/// What a request wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    /// Read anything.
    Read,
    /// Ask whether one user is active.
    AskAccess,
}

impl Tokens {
    /// The tokens that may read everything, and those that may only ask for one user's access.
    pub fn new(api: &Secrets, access: &Secrets) -> Self {
        let hashes = |secrets: &Secrets| secrets.expose().map(|it| hash(it.as_bytes())).collect();
        Self { api: hashes(api), access: hashes(access) }
    }

    fn permit(&self, headers: &HeaderMap, right: Right) -> Result<(), Problem> {
        let refuse = |detail: String| Err(Problem::new(ProblemType::Unauthorized, detail));
        let none_configured =
            self.api.is_empty() && (right == Right::Read || self.access.is_empty());
        if none_configured && self.access.is_empty() {
            return refuse(format!("no token is configured: set {API_TOKEN} for the server"));
        }
        let Some(token) = bearer(headers) else {
            return refuse("send the header Authorization: Bearer <token>".to_owned());
        };
        let token = hash(token);
        let among = |hashes: &[[u8; 32]]| {
            bool::from(hashes.iter().fold(Choice::from(0), |found, it| found | it.ct_eq(&token)))
        };
        let (may_read, may_ask) = (among(&self.api), among(&self.access));
        match right {
            _ if may_read => Ok(()),
            Right::AskAccess if may_ask => Ok(()),
            Right::Read if may_ask => Err(Problem::new(
                ProblemType::Forbidden,
                format!("a token of {ACCESS_TOKEN} may only ask /v1/users/{{id}}"),
            )),
            _ => refuse("the token is not one of the configured ones".to_owned()),
        }
    }
}

/// Lets only those in who may read everything.
pub(super) async fn require_read(
    State(app): State<Arc<AppState>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    app.tokens.permit(request.headers(), Right::Read)?;
    ConnectionState::mark_verified(request.extensions());
    Ok(next.run(request).await)
}

/// Lets those in who may ask for one user's access.
pub(super) async fn require_access(
    State(app): State<Arc<AppState>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    app.tokens.permit(request.headers(), Right::AskAccess)?;
    ConnectionState::mark_verified(request.extensions());
    Ok(next.run(request).await)
}

fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The token of `Authorization: Bearer <token>`; the scheme in any case, as RFC 9110 has it.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(tokens: &Tokens, header: Option<&str>, right: Right) -> Option<ProblemType> {
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        tokens.permit(&headers, right).err().map(|problem| problem.kind())
    }

    #[test]
    fn an_access_token_asks_for_access_and_no_more() {
        let tokens = Tokens::new(&Secrets::parse("old,new"), &Secrets::parse("narrow"));
        for (header, read, access) in [
            (None, Some(ProblemType::Unauthorized), Some(ProblemType::Unauthorized)),
            (Some("Bearer"), Some(ProblemType::Unauthorized), Some(ProblemType::Unauthorized)),
            (Some("Bearer "), Some(ProblemType::Unauthorized), Some(ProblemType::Unauthorized)),
            (Some("Basic old"), Some(ProblemType::Unauthorized), Some(ProblemType::Unauthorized)),
            (Some("Bearer ol"), Some(ProblemType::Unauthorized), Some(ProblemType::Unauthorized)),
            (Some("Bearer old"), None, None),
            (Some("bearer new"), None, None),
            (Some("Bearer narrow"), Some(ProblemType::Forbidden), None),
        ] {
            assert_eq!(ask(&tokens, header, Right::Read), read, "{header:?}");
            assert_eq!(ask(&tokens, header, Right::AskAccess), access, "{header:?}");
        }
    }

    #[test]
    fn without_any_token_nobody_reads_and_the_variable_is_named() {
        let problem = Tokens::default().permit(&HeaderMap::new(), Right::Read).unwrap_err();
        assert!(format!("{problem:?}").contains("SUBLEDGER_API_TOKEN"));
        assert_eq!(
            ask(&Tokens::default(), Some("Bearer "), Right::Read),
            Some(ProblemType::Unauthorized)
        );
    }
}
