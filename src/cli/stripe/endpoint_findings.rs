//! Checks of the webhook endpoints at Stripe.

use super::check::failed;
use super::finding::Finding;
use super::secret_file;
use crate::config::WebhookSecrets;
use crate::ids::{AccountId, Mode, Scope};
use crate::stripe::is_folded;
use crate::stripe_api::{ApiClient, ApiError, Endpoint};

/// Number of missing types that a message names.
const NAMED_TYPES_MAX: usize = 5;

/// Requirements that the endpoints must meet.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Address of the webhook; none for the endpoints that look like a ledger's.
    pub(super) url: Option<&'a str>,
    pub(super) mode: Mode,
    /// Configured signing secrets.
    pub(super) secrets: Option<&'a WebhookSecrets>,
}

/// Checks the endpoints of the ledger, and lists the others.
pub(super) async fn check(
    client: &ApiClient,
    wanted: Wanted<'_>,
) -> Result<Vec<Finding>, ApiError> {
    let endpoints = match client.endpoints().await {
        Ok(endpoints) => endpoints,
        Err(
            error @ (ApiError::PermissionMissing { .. }
            | ApiError::Refused { .. }
            | ApiError::NotFound { .. }),
        ) => return Ok(vec![failed("permission", &error)]),
        Err(error) => return Err(error),
    };
    let is_ours = |it: &Endpoint| match wanted.url {
        Some(url) => it.is_at(url),
        None => it.is_of_ledger(),
    };
    let (ours, others): (Vec<_>, Vec<_>) = endpoints.into_iter().partition(is_ours);
    let mut findings = vec![Finding::ok("permission", "can read /v1/webhook_endpoints")];
    if ours.is_empty() {
        let url = wanted.url.unwrap_or("URL");
        let place = wanted.url.map_or("for a ledger".to_owned(), |url| format!("at {url}"));
        let hint = format!("create one: subledger stripe endpoint create --url {url}");
        findings.push(Finding::failed("endpoint", format!("there is no endpoint {place}"), hint));
    }
    let enabled = ours.iter().filter(|it| it.is_enabled()).count();
    if enabled > 1 {
        findings.push(Finding::warning(
            "endpoint",
            "several endpoints are enabled, so events may arrive more than once",
            "the ledger stores each event once; it needs the signing secrets of all of them",
        ));
    }
    for endpoint in &ours {
        findings.push(of_status(endpoint, enabled > 0));
        if endpoint.is_enabled() {
            findings.extend([of_types(endpoint), of_version(endpoint)]);
        }
    }
    findings.push(of_secrets(&ours, wanted));
    if wanted.url.is_none() {
        let others = others.iter().map(|it| {
            let message = format!("{} ({}) posts to {}: not checked", it.id, it.status, it.url);
            Finding::ok("endpoint", message)
        });
        findings.extend(others);
    }
    Ok(findings)
}

/// Finding of the status. An endpoint that was replaced by another one may be disabled.
fn of_status(endpoint: &Endpoint, is_one_enabled: bool) -> Finding {
    let message = format!("{} posts to {}: {}", endpoint.id, endpoint.url, endpoint.status);
    if endpoint.is_enabled() {
        Finding::ok("endpoint", message)
    } else if is_one_enabled {
        let hint = "delete it in the Dashboard (Developers, Webhooks) if it is not needed";
        Finding::warning("endpoint", message, hint)
    } else {
        let hint = "enable it in the Dashboard (Developers, Webhooks); Stripe never sends the events of the time between";
        Finding::failed("endpoint", message, hint)
    }
}

fn of_types(endpoint: &Endpoint) -> Finding {
    let (folded, others): (Vec<_>, Vec<_>) = endpoint.missing_types().partition(|it| is_folded(it));
    let id = &endpoint.id;
    let hint = "add the types in the Dashboard; the guide `adopt` lists all";
    if !folded.is_empty() {
        let message = format!("{id} does not send {}, which change rows", named(&folded));
        Finding::failed("types", message, hint)
    } else if !others.is_empty() {
        let message = format!("{id} does not send {}, which histories show", named(&others));
        Finding::warning("types", message, hint)
    } else {
        Finding::ok("types", format!("{id} sends all types that the ledger uses"))
    }
}

/// The first names of a list, and the number of the others.
fn named(types: &[&str]) -> String {
    let shown = types[..types.len().min(NAMED_TYPES_MAX)].join(", ");
    match types.len().saturating_sub(NAMED_TYPES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more types"),
    }
}

/// Any version can be read, so this is information.
fn of_version(Endpoint { id, api_version, .. }: &Endpoint) -> Finding {
    Finding::ok(
        "version",
        match api_version {
            Some(version) => format!("{id} sends events of the API version {version}"),
            None => format!("{id} sends events of the account's default API version"),
        },
    )
}

/// Finding of the configured secrets. Stripe shows a secret only when it creates the endpoint.
fn of_secrets(ours: &[Endpoint], wanted: Wanted<'_>) -> Finding {
    const CHECK: &str = "secret";
    let Some(secrets) = wanted.secrets else {
        return Finding::warning(
            CHECK,
            "STRIPE_WEBHOOK_SECRET is not set here",
            "run the check with the environment of `serve`",
        );
    };
    let own = Scope { account: AccountId::default(), livemode: wanted.mode.livemode() };
    let connected = Scope { account: "acct_any".into(), livemode: own.livemode };
    if secrets.vouching_for(&own).is_none() && secrets.vouching_for(&connected).is_none() {
        let mode = wanted.mode;
        let message = format!("no secret of STRIPE_WEBHOOK_SECRET may sign {mode} events");
        return Finding::failed(
            CHECK,
            message,
            format!("add the secret of the endpoint: {mode}:whsec_…"),
        );
    }
    match secret_file::endpoint_of_configured() {
        Some(id) if ours.iter().any(|it| it.id == id) => {
            Finding::ok(CHECK, format!("the file of the secret was written for {id}"))
        }
        Some(id) => Finding::failed(
            CHECK,
            format!(
                "the file of the secret was written for {id}, which is not among these endpoints"
            ),
            "set the secret of the endpoint that is used",
        ),
        None => Finding::warning(
            CHECK,
            "Stripe does not show to which endpoint a secret belongs",
            "send a test event, for example `stripe trigger customer.created`: a wrong secret is answered with 400",
        ),
    }
}
