//! Bearer tokens for reading: those that may read everything, and those that may only ask who has access, in one
//! account and mode.
//!
//! A token is compared with all configured tokens, by hash and in constant time, so that the time of an answer
//! reveals nothing about a token.

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
use crate::ids::{AccountId, Mode, Scope};

/// Configured read tokens, as hashes.
#[derive(Clone, Default)]
pub struct Tokens {
    api: Vec<[u8; 32]>,
    access: Vec<[u8; 32]>,
}

/// Right that a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// Read anything.
    Read,
    /// Ask who has access.
    AskAccess,
}

/// Token of an authorized request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Token that may read everything.
    Api,
    /// Token that may only ask who has access, in the platform's own account and the configured mode.
    Access,
}

impl Caller {
    /// Refuses a scope about which the token may not ask.
    pub(super) fn require_scope(self, scope: &Scope, mode: Mode) -> Result<(), Problem> {
        let own = Scope { account: AccountId::default(), livemode: mode.livemode() };
        if self == Self::Api || *scope == own {
            return Ok(());
        }
        let detail = format!(
            "a token of {ACCESS_TOKEN} may only ask about the platform's own account in {mode} mode: leave out \
             `account` and `livemode`, or send a token of {API_TOKEN}"
        );
        Err(Problem::new(ProblemType::Forbidden, detail))
    }
}

impl Tokens {
    /// Hashes the tokens that may read everything, and those that may only ask who has access.
    pub fn new(api: &Secrets, access: &Secrets) -> Self {
        let hashes = |secrets: &Secrets| secrets.expose().map(|it| hash(it.as_bytes())).collect();
        Self { api: hashes(api), access: hashes(access) }
    }

    fn authorize(&self, headers: &HeaderMap, right: Right) -> Result<Caller, Problem> {
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
            _ if may_read => Ok(Caller::Api),
            Right::AskAccess if may_ask => Ok(Caller::Access),
            Right::Read if may_ask => Err(Problem::new(
                ProblemType::Forbidden,
                format!(
                    "a token of {ACCESS_TOKEN} may only ask /v1/users/{{id}}/access, \
                     /v1/customers/{{id}}/access and /v1/access: send a token of {API_TOKEN}"
                ),
            )),
            _ => refuse("the token is not one of the configured ones".to_owned()),
        }
    }
}

/// Middleware that requires a token which may read everything.
pub(super) async fn require_read(
    State(app): State<Arc<AppState>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    authorize(&app, &mut request, Right::Read)?;
    Ok(next.run(request).await)
}

/// Refuses a request whose token does not give this right. The handler finds the [`Caller`] in the extensions.
pub(super) fn authorize(
    app: &AppState,
    request: &mut Request,
    right: Right,
) -> Result<(), Problem> {
    let caller = app.tokens.authorize(request.headers(), right)?;
    ConnectionState::mark_verified(request.extensions());
    request.extensions_mut().insert(caller);
    Ok(())
}

fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Token of `Authorization: Bearer <token>`. The case of the scheme does not matter (RFC 9110).
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
        tokens.authorize(&headers, right).err().map(|problem| problem.kind())
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
    fn an_access_token_asks_about_one_account_and_mode() {
        let scope = |account: &str, livemode| Scope { account: account.into(), livemode };
        for (asked, is_own) in [
            (scope("", true), true),
            (scope("", false), false),
            (scope("acct_1", true), false),
            (scope("acct_1", false), false),
        ] {
            assert!(Caller::Api.require_scope(&asked, Mode::Live).is_ok());
            let answered = Caller::Access.require_scope(&asked, Mode::Live);
            assert_eq!(answered.is_ok(), is_own, "{asked:?}");
        }
        assert!(Caller::Access.require_scope(&scope("", false), Mode::Test).is_ok());
    }

    #[test]
    fn without_any_token_nobody_reads_and_the_variable_is_named() {
        let problem = Tokens::default().authorize(&HeaderMap::new(), Right::Read).unwrap_err();
        assert!(format!("{problem:?}").contains("SUBLEDGER_API_TOKEN"));
        assert_eq!(
            ask(&Tokens::default(), Some("Bearer "), Right::Read),
            Some(ProblemType::Unauthorized)
        );
    }
}
