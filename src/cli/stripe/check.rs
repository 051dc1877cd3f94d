//! `stripe check`: asks Stripe's API about the key, the clock and the webhook endpoints.

use serde::Deserialize;

use super::super::Context;
use super::super::output::stdout;
use super::super::report::{Exit, despite_broken_pipe};
use super::endpoint_findings::{self, Wanted};
use super::finding::{self, Finding, Format};
use crate::clock::Clock;
use crate::config::{ConfigError, WebhookSecrets};
use crate::stripe::signature::DEFAULT_TOLERANCE_SECONDS;
use crate::stripe_api::{ApiClient, ApiError, ApiSettings, KeyKind, Permission, RetryPolicy};

/// Greatest difference between the clocks that is no finding, in seconds. Stripe's time is cut to seconds, and the
/// answer takes its time.
const CLOCK_SECONDS_MAX: i64 = 5;

/// Customer to ask for if the account has none.
const NO_CUSTOMER: &str = "cus_none";

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Address of the webhook, as Stripe reaches it [default: check the endpoints that were created for a ledger]
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,

    #[command(flatten)]
    api: ApiSettings,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let mode = context.settings.mode;
    let secrets = match WebhookSecrets::from_env() {
        Err(ConfigError::NoWebhookSecret) => None,
        secrets => Some(secrets?),
    };
    let client = args.api.client(mode, RetryPolicy::IMPATIENT)?;
    let findings = match check(&client, &context.clock).await {
        Ok(mut findings) => {
            let wanted = Wanted { url: args.url.as_deref(), mode, secrets: secrets.as_ref() };
            findings.extend(endpoint_findings::check(&client, wanted).await?);
            findings
        }
        // Then no other check can say more.
        Err(error @ ApiError::KeyRefused { .. }) => vec![failed("key", &error)],
        Err(error) => return Err(error.into()),
    };
    despite_broken_pipe(finding::write(&findings, args.format, &mut stdout()))?;
    Ok(if findings.iter().any(Finding::is_failed) { Exit::No } else { Exit::Done })
}

/// Finding of an error.
pub(super) fn failed(check: &'static str, error: &ApiError) -> Finding {
    Finding::failed(check, error.to_string(), error.hint().unwrap_or("ask Stripe's support"))
}

/// Checks the key, its permissions and the clock.
async fn check(client: &ApiClient, clock: &Clock) -> Result<Vec<Finding>, ApiError> {
    let mode = client.key().mode();
    let kind = match client.key().kind() {
        KeyKind::Restricted => "restricted",
        KeyKind::Full => "unrestricted",
    };
    let mut findings = vec![match client.key().warning() {
        None => Finding::ok("key", format!("{kind} key of {mode} mode")),
        Some(warning) => {
            let (_, hint) = warning.split_once("; ").unwrap_or_default();
            Finding::warning("key", format!("{kind} key of {mode} mode"), hint)
        }
    }];
    let (mut customer, mut lead) = (None, None);
    for permission in Permission::of_mode(mode) {
        let id = customer.as_deref().unwrap_or(NO_CUSTOMER);
        let mut query = vec![("limit", "1")];
        query.extend(permission.needs_customer.then_some(("customer", id)));
        match client.get(permission.path, &query, None).await {
            Ok(answer) => {
                lead.get_or_insert(clock.now().to_stripe_time().0 - answer.request.date.0);
                if permission.path == "/v1/customers" {
                    customer = first_id(&answer.body);
                }
                findings.push(can_read(permission));
            }
            Err(ApiError::NotFound { .. }) if permission.needs_customer => {
                findings.push(can_read(permission));
            }
            Err(
                error @ (ApiError::PermissionMissing { .. }
                | ApiError::Refused { .. }
                | ApiError::NotFound { .. }),
            ) => findings.push(failed("permission", &error)),
            Err(error) => return Err(error),
        }
    }
    findings.extend(lead.map(of_clock));
    Ok(findings)
}

fn can_read(permission: Permission) -> Finding {
    Finding::ok("permission", format!("can read {}", permission.path))
}

/// Finding of the clock, by the seconds that it is ahead of Stripe's.
fn of_clock(lead: i64) -> Finding {
    let (seconds, direction) = (lead.abs(), if lead < 0 { "behind" } else { "ahead of" });
    let message = format!("the clock is {seconds} seconds {direction} Stripe's");
    if seconds <= CLOCK_SECONDS_MAX {
        let message = format!("the clock agrees with Stripe's to {CLOCK_SECONDS_MAX} seconds");
        Finding::ok("clock", message)
    } else if seconds <= i64::from(DEFAULT_TOLERANCE_SECONDS) {
        Finding::warning("clock", message, "synchronize the clock, for example with chrony")
    } else {
        Finding::failed(
            "clock",
            message,
            format!(
                "synchronize the clock: signatures are refused beyond {DEFAULT_TOLERANCE_SECONDS} seconds"
            ),
        )
    }
}

/// Id of the first object of a list.
fn first_id(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct List {
        data: Vec<Object>,
    }
    #[derive(Deserialize)]
    struct Object {
        id: String,
    }
    let list: List = serde_json::from_str(body).ok()?;
    list.data.into_iter().next().map(|it| it.id)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status::{Failed, Ok, Warning};
    use super::*;

    #[test]
    fn the_clock_may_differ_a_little_and_not_as_much_as_signatures_may() {
        let statuses = [0, -5, 6, -300, 301].map(|lead| of_clock(lead).status);
        assert_eq!(statuses, [Ok, Ok, Warning, Warning, Failed]);
        assert_eq!(of_clock(-60).message, "the clock is 60 seconds behind Stripe's");
    }
}
