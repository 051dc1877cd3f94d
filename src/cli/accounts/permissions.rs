//! Permissions of the key, which are checked before the first list is read: a long backfill must not end at its last
//! step.

use crate::cli::report::Failure;
use crate::ids::AccountId;
use crate::stripe_api::{ApiClient, ApiError, KeyKind, Permission, restricted_key_url};

/// Customer to ask for, whether it exists or not.
const NO_CUSTOMER: &str = "cus_none";

/// Fails with the names of all permissions that a restricted key lacks.
pub(super) async fn require(client: &ApiClient, account: Option<&AccountId>) -> anyhow::Result<()> {
    if client.key().kind() == KeyKind::Full {
        return Ok(());
    }
    let missing = missing(client, account).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let count = missing.len();
    let noun = if count == 1 { "permission" } else { "permissions" };
    Err(Failure::usage(
        format!("the API key lacks {count} {noun}, so nothing was read: {}", missing.join(", ")),
        format!(
            "edit the restricted key in the Dashboard (Developers, API keys), or make one with all permissions: {}",
            restricted_key_url(client.key().mode())
        ),
    ))
}

/// Permissions that the key lacks, each with the list that it opens.
async fn missing(client: &ApiClient, account: Option<&AccountId>) -> Result<Vec<String>, ApiError> {
    let mut missing = Vec::new();
    for needed in Permission::of_mode(client.key().mode()) {
        let mut query = vec![("limit", "1")];
        query.extend(needed.needs_customer.then_some(("customer", NO_CUSTOMER)));
        match client.get(needed.path, &query, account).await {
            Err(ApiError::PermissionMissing { permission, .. }) => {
                let name = permission.as_deref().unwrap_or(needed.name);
                missing.push(format!("{name} ({})", needed.path));
            }
            // The customer does not exist. Any other refusal is reported by the step that meets it.
            Ok(_) | Err(ApiError::NotFound { .. } | ApiError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(missing)
}
