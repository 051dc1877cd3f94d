//! `/v1/webhook_endpoints`: what was created through the API.

use super::call::{Answer, Call};
use super::error::ApiError;
use super::paging::Paging;
use crate::simulate::dice::Dice;
use crate::simulate::objects::{Metadata, render_metadata};
use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{Object, Wire, object};

/// Webhook endpoint.
#[derive(Clone, Debug)]
pub(super) struct WebhookEndpoint {
    pub(super) id: String,
    pub(super) account: String,
    pub(super) livemode: bool,
    pub(super) url: String,
    pub(super) enabled_events: Vec<String>,
    pub(super) api_version: Option<String>,
    pub(super) connect: bool,
    pub(super) description: Option<String>,
    pub(super) metadata: Metadata,
    pub(super) secret: String,
    pub(super) is_enabled: bool,
    pub(super) created: i64,
    pub(super) idempotency_key: Option<String>,
}

impl WebhookEndpoint {
    fn render(&self) -> Object {
        let events: Vec<Wire> = self.enabled_events.iter().map(Wire::from).collect();
        object! {
            "id": &self.id,
            "object": "webhook_endpoint",
            "api_version": &self.api_version,
            "application": self.connect.then_some("ca_Simulated0001"),
            "created": self.created,
            "description": &self.description,
            "enabled_events": events,
            "livemode": self.livemode,
            "metadata": render_metadata(&self.metadata),
            "status": if self.is_enabled { "enabled" } else { "disabled" },
            "url": &self.url,
        }
    }

    /// Answer to its creation: the only one with the secret.
    fn render_created(&self) -> Object {
        let mut endpoint = self.render();
        endpoint.set("secret", &self.secret);
        endpoint
    }
}

/// `GET /v1/webhook_endpoints`.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let paging = Paging::take_without_created(&mut call.params)?;
    call.params.finish()?;
    let endpoints = call.stripe.endpoints();
    let own = endpoints.iter().rev().filter(|it| is_of(it, call));
    call.short_page(&paging, own.map(|it| (it.id.clone(), it.render())).collect())
}

/// `GET /v1/webhook_endpoints/{id}`.
pub(super) fn get(call: &mut Call<'_>) -> Answer {
    call.params.finish()?;
    let endpoints = call.stripe.endpoints();
    let found = endpoints.iter().find(|it| it.id == call.id && is_of(it, call));
    let endpoint = found.ok_or_else(|| ApiError::missing("webhook endpoint", call.id))?;
    Ok(call.text(&endpoint.render()))
}

/// `POST /v1/webhook_endpoints`. A repeated `Idempotency-Key` gives the first answer again.
pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let key = call.idempotency_key.take();
    let mut endpoints = call.stripe.endpoints();
    let repeated = |it: &&WebhookEndpoint| key.is_some() && it.idempotency_key == key;
    if let Some(first) = endpoints.iter().find(repeated) {
        return Ok(call.text(&first.render_created()));
    }
    let url = call.params.require("url")?;
    let enabled_events = call.params.take_list("enabled_events");
    let api_version = call.params.take("api_version");
    let connect = call.params.take_bool("connect")?.unwrap_or(false);
    let description = call.params.take("description");
    let metadata = call.params.take_map("metadata");
    call.params.finish()?;
    check(&url, &enabled_events, api_version.as_deref(), call.livemode)?;
    let mut dice = Dice::new(0, endpoints.len() as u64);
    let endpoint = WebhookEndpoint {
        id: format!("we_1Sim{}", dice.letters(17)),
        account: call.account.to_owned(),
        livemode: call.livemode,
        url,
        enabled_events,
        api_version,
        connect,
        description,
        metadata,
        secret: format!("whsec_{}", dice.letters(32)),
        is_enabled: true,
        created: call.now,
        idempotency_key: key,
    };
    let answer = call.text(&endpoint.render_created());
    endpoints.push(endpoint);
    Ok(answer)
}

fn check(
    url: &str,
    enabled_events: &[String],
    api_version: Option<&str>,
    livemode: bool,
) -> Result<(), ApiError> {
    let parsed = url::Url::parse(url).ok();
    let is_usable = |it: &url::Url| it.scheme() == "https" || (it.scheme() == "http" && !livemode);
    if !parsed.as_ref().is_some_and(is_usable) {
        let text = "Invalid URL: An explicit scheme (such as https) must be provided.";
        return Err(ApiError::invalid(text).code("url_invalid").param("url"));
    }
    if enabled_events.is_empty() {
        let text = "Missing required param: enabled_events.";
        return Err(ApiError::invalid(text).code("parameter_missing").param("enabled_events"));
    }
    if let Some(unknown) = api_version.filter(|it| ApiVersion::parse(it).is_none()) {
        let text = format!("Invalid api_version: {unknown}");
        return Err(ApiError::invalid(text).param("api_version"));
    }
    Ok(())
}

fn is_of(endpoint: &WebhookEndpoint, call: &Call<'_>) -> bool {
    endpoint.account == call.account && endpoint.livemode == call.livemode
}
