//! Accounts of an API key that a command reads, and the ledger that it compares them with.

mod permissions;

use super::Context;
use super::report::{Failure, print_message};
use crate::backfill::{BackfillError, FoldWait};
use crate::ids::{AccountId, Mode, Scope};
use crate::store::{OpenMode, Store};
use crate::stripe_api::{ApiClient, ApiError, ApiSettings, RetryPolicy};

const ACCOUNTS: &str = "/v1/accounts";
/// Greatest number of pages of connected accounts: a hundred thousand accounts.
const PAGES_MAX: u32 = 1_000;

/// Accounts that a command reads.
pub(super) struct ReadAccounts {
    /// Client with a key that has all permissions.
    pub(super) client: ApiClient,
    /// Accounts in the mode of the key.
    pub(super) scopes: Vec<Scope>,
}

impl ReadAccounts {
    /// Finds the accounts, and checks the permissions of the key. `account` is a connected account, or `all`.
    pub(super) async fn find(
        api: &ApiSettings,
        mode: Mode,
        account: Option<&str>,
    ) -> anyhow::Result<Self> {
        let client = api.client(mode, RetryPolicy::default())?;
        if let Some(warning) = client.key().warning() {
            print_message(&format!("warning: {warning}"));
        }
        let accounts = match account {
            None => vec![AccountId::default()],
            Some("all") => all(&client).await?,
            Some(account) => vec![AccountId::new(account)],
        };
        permissions::require(&client, accounts.last()).await?;
        let livemode = mode.livemode();
        let scopes = accounts.into_iter().map(|account| Scope { account, livemode }).collect();
        Ok(Self { client, scopes })
    }
}

/// The key's own account and all connected accounts.
async fn all(client: &ApiClient) -> Result<Vec<AccountId>, ApiError> {
    let (mut accounts, mut after) = (vec![AccountId::default()], None);
    for _ in 0..PAGES_MAX {
        let page = client.list_page(ACCOUNTS, &[], after.as_deref(), None).await?;
        accounts.extend(page.ids().map(AccountId::new));
        if !page.has_more {
            return Ok(accounts);
        }
        after = page.last_id;
    }
    Err(ApiError::TooManyPages { path: ACCOUNTS.to_owned(), pages: PAGES_MAX })
}

/// Opens the ledger of a command, and follows its log.
pub(super) async fn open(context: &Context, mode: OpenMode) -> anyhow::Result<(Store, FoldWait)> {
    let store = context.open(mode).await?;
    let logic = context.settings.logic()?;
    let fold = FoldWait::start(&store, logic, context.clock.clone()).await?;
    Ok((store, fold))
}

/// Name of an account in a sentence.
pub(super) fn name(account: &AccountId) -> &str {
    match account.as_str() {
        "" => "your own account",
        account => account,
    }
}

/// The error itself, which has a hint and an exit status.
pub(super) fn cause(error: BackfillError) -> anyhow::Error {
    match error {
        BackfillError::Api(error) => error.into(),
        BackfillError::Store(error) => error.into(),
        other @ BackfillError::OtherAccount(_) => Failure::usage(
            other.to_string(),
            "use a key of the account whose webhooks this ledger receives, or another ledger",
        ),
        other @ BackfillError::OwnAccount(_) => {
            Failure::usage(other.to_string(), "leave `--account` out for your own account")
        }
        other @ BackfillError::Busy { .. } => {
            Failure::failed(other.to_string(), "wait for it, or stop it")
        }
    }
}
