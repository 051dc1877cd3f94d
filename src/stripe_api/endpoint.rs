//! Webhook endpoints: lists them, and creates one. That is the only thing that the client writes.

use std::collections::BTreeMap;

use reqwest::Method;
use secrecy::SecretString;
use serde::Deserialize;

use super::client::{Form, Request, encoded};
use super::error::RequestId;
use super::{API_VERSION, ApiClient, ApiError};
use crate::stripe::USED_TYPES;

const PATH: &str = "/v1/webhook_endpoints";

/// Greatest number of pages of endpoints. Stripe allows far fewer endpoints.
const PAGES_MAX: u32 = 10;

/// Webhook endpoint as Stripe shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct Endpoint {
    /// Id: `we_…`.
    pub id: String,
    /// Address that Stripe posts to.
    pub url: String,
    /// `enabled` or `disabled`.
    pub status: String,
    /// Types of the events that it sends; `*` for nearly all.
    pub enabled_events: Vec<String>,
    /// API version of its events; none for the account's default.
    pub api_version: Option<String>,
    /// Metadata.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

impl Endpoint {
    /// Metadata of the endpoints that were created for a ledger.
    pub const TAG: (&str, &str) = ("subledger", "1");
    /// Path of a ledger's webhook.
    pub const WEBHOOK_PATH: &str = "/api/stripe/webhook";

    /// True if it sends events.
    pub fn is_enabled(&self) -> bool {
        self.status == "enabled"
    }

    /// True if it posts to this address, with or without a slash at the end.
    pub fn is_at(&self, url: &str) -> bool {
        self.url.trim_end_matches('/') == url.trim_end_matches('/')
    }

    /// True for an endpoint of a ledger: one that was created for it, or that posts to the path of its webhook.
    pub fn is_of_ledger(&self) -> bool {
        self.is_tagged() || self.url.trim_end_matches('/').ends_with(Self::WEBHOOK_PATH)
    }

    /// True for an endpoint that was created for a ledger.
    pub fn is_tagged(&self) -> bool {
        self.metadata.get(Self::TAG.0).is_some_and(|it| it == Self::TAG.1)
    }

    /// Types that the ledger uses and the endpoint does not send.
    pub fn missing_types(&self) -> impl Iterator<Item = &'static str> {
        USED_TYPES.into_iter().filter(|it| !self.sends(it))
    }

    /// True if it sends events of this type.
    pub fn sends(&self, event_type: &str) -> bool {
        self.enabled_events.iter().any(|it| it == "*" || it == event_type)
    }
}

/// Webhook endpoint before it is created. It sends events at [`API_VERSION`], which cannot be changed later.
#[derive(Clone, Debug)]
pub struct NewEndpoint<'a> {
    /// Address that Stripe posts to.
    pub url: &'a str,
    /// Types of the events that it sends.
    pub event_types: &'a [&'a str],
    /// True if it sends the events of connected accounts instead of the key's own.
    pub is_connect: bool,
    /// Description for the Dashboard.
    pub description: Option<&'a str>,
    /// Metadata.
    pub metadata: &'a [(&'a str, &'a str)],
}

/// Created webhook endpoint.
#[derive(Clone, Debug, Deserialize)]
pub struct CreatedEndpoint {
    /// Id: `we_…`.
    pub id: String,
    /// Signing secret. Stripe shows it only in this answer.
    pub secret: SecretString,
}

impl ApiClient {
    /// Reads all webhook endpoints of the key's account and mode.
    pub async fn endpoints(&self) -> Result<Vec<Endpoint>, ApiError> {
        let (mut endpoints, mut after) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let page = self.list_page(PATH, &[], after.as_deref(), None).await?;
            for object in &page.objects {
                endpoints.push(serde_json::from_str(object.get()).map_err(|_| {
                    let request = RequestId(page.request.request_id.clone());
                    ApiError::NotAList { path: PATH.to_owned(), request }
                })?);
            }
            if !page.has_more {
                return Ok(endpoints);
            }
            after = page.last_id;
        }
        Err(ApiError::TooManyPages { path: PATH.to_owned(), pages: PAGES_MAX })
    }

    /// Creates a webhook endpoint. Requests with the same key create one endpoint.
    pub async fn create_endpoint(
        &self,
        new: &NewEndpoint<'_>,
        idempotency_key: &str,
    ) -> Result<CreatedEndpoint, ApiError> {
        let mut pairs = vec![("url", new.url), ("api_version", API_VERSION)];
        if new.is_connect {
            pairs.push(("connect", "true"));
        }
        pairs.extend(new.description.map(|text| ("description", text)));
        pairs.extend(new.event_types.iter().map(|it| ("enabled_events[]", *it)));
        let tags: Vec<_> =
            new.metadata.iter().map(|(key, value)| (format!("metadata[{key}]"), *value)).collect();
        pairs.extend(tags.iter().map(|(key, value)| (&**key, *value)));
        let body = encoded(&pairs);
        let answer = self
            .send(Request {
                method: &Method::POST,
                path: PATH,
                query: "",
                account: None,
                form: Some(Form { body: &body, idempotency_key }),
            })
            .await?;
        serde_json::from_str(&answer.body).map_err(|_| {
            let request = RequestId(answer.request.request_id);
            ApiError::NoSecret { request }
        })
    }
}
