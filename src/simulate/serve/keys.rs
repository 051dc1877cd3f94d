//! API keys, their modes and permissions.

use std::collections::BTreeSet;

use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::ApiError;

/// Permission that a restricted key needs for lists of accounts and for requests about a connected account.
pub const CONNECT_PERMISSION: &str = "rak_accounts_kyc_basic_read";

/// API key that the server knows.
#[derive(Clone, Debug)]
pub struct Key {
    secret: String,
    /// Permissions of a restricted key; `None`: all.
    permissions: Option<BTreeSet<String>>,
}

impl Key {
    /// Key with all permissions: `sk_test_…` sees test objects, `sk_live_…` live ones.
    pub fn full(secret: impl Into<String>) -> Self {
        Self { secret: secret.into(), permissions: None }
    }

    /// Restricted key: `rk_test_…` or `rk_live_…`. A permission to write is one to read as well.
    pub fn restricted<P: Into<String>>(
        secret: impl Into<String>,
        permissions: impl IntoIterator<Item = P>,
    ) -> Self {
        let permissions = permissions.into_iter().map(Into::into).collect();
        Self { secret: secret.into(), permissions: Some(permissions) }
    }

    /// Live or test mode.
    pub fn livemode(&self) -> bool {
        self.secret.contains("_live_")
    }

    /// Refuses a request that needs another permission.
    pub(super) fn require(&self, permission: &str, account: &str) -> Result<(), ApiError> {
        if self.secret.starts_with("pk_") {
            let text = "This API call cannot be made with a publishable API key. Please use a secret API key. You \
                        can find a list of your API keys at https://dashboard.stripe.com/account/apikeys.";
            return Err(ApiError::new(StatusCode::FORBIDDEN, text).code("secret_key_required"));
        }
        if self.allows(permission) {
            return Ok(());
        }
        let text = format!(
            "The provided key '{}' does not have the required permissions for this endpoint on account '{account}'. \
             Having the '{permission}' permission would allow this request to continue.",
            masked(&self.secret)
        );
        Err(ApiError::new(StatusCode::FORBIDDEN, text))
    }

    /// Refuses a request about an account that does not exist or that the key may not see.
    pub(super) fn require_account(&self, account: &str, exists: bool) -> Result<(), ApiError> {
        if exists && self.allows(CONNECT_PERMISSION) {
            return Ok(());
        }
        let text = format!(
            "The provided key '{}' does not have access to account '{account}' (or that account does not exist). \
             Application access may have been revoked.",
            masked(&self.secret)
        );
        Err(ApiError::new(StatusCode::FORBIDDEN, text).code("account_invalid"))
    }

    fn allows(&self, permission: &str) -> bool {
        let Some(permissions) = &self.permissions else { return true };
        let write = permission.strip_suffix("_read").map(|stem| format!("{stem}_write"));
        permissions.contains(permission) || write.is_some_and(|it| permissions.contains(&it))
    }
}

/// Key of a request.
pub(super) fn authenticate<'a>(keys: &'a [Key], headers: &HeaderMap) -> Result<&'a Key, ApiError> {
    let refuse = |text: String| {
        Err(ApiError::new(StatusCode::UNAUTHORIZED, text)
            .header(WWW_AUTHENTICATE.as_str(), "Bearer realm=\"Stripe\""))
    };
    let Some(secret) = secret(headers) else {
        return refuse(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using \
             Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
                .to_owned(),
        );
    };
    match keys.iter().find(|key| key.secret == secret) {
        Some(key) => Ok(key),
        None => refuse(format!("Invalid API Key provided: {}", masked(&secret))),
    }
}

/// Secret of the header: `Bearer …`, or `Basic …` with the key as the user.
fn secret(headers: &HeaderMap) -> Option<String> {
    let header = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let user = decoded.split_once(':').map_or(decoded.as_str(), |(user, _)| user);
    Some(user.to_owned())
}

/// Key without its middle.
fn masked(secret: &str) -> String {
    let characters: Vec<char> = secret.chars().collect();
    let (head, tail) = (8.min(characters.len()), characters.len().saturating_sub(4).max(8));
    let mask = |(index, character): (usize, &char)| {
        if index < head || index >= tail { *character } else { '*' }
    };
    characters.iter().enumerate().map(mask).collect()
}
