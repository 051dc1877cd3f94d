//! Webhook endpoints: the only thing that the client creates.

use reqwest::Method;
use secrecy::SecretString;
use serde::Deserialize;

use super::client::{Form, Request, encoded};
use super::error::RequestId;
use super::{API_VERSION, ApiClient, ApiError};

const PATH: &str = "/v1/webhook_endpoints";

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
