//! Address of the API.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// Address that requests go to: Stripe's, or that of a proxy. Only a loopback address may be without TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiBase(Url);

/// Reason why an address is refused. It contains nothing of the address, which might contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBase {
    /// It is no URL with a host.
    #[error("expected a URL with a host, such as https://api.stripe.com")]
    NoUrl,
    /// It is not encrypted, and does not stay on this machine.
    #[error("the API key would be sent unencrypted: use https, or http to a loopback address")]
    NotEncrypted,
    /// It has more than a host, a port and a path.
    #[error("leave out the user, password, query and fragment")]
    TooMuch,
}

impl ApiBase {
    /// Text of Stripe's own address.
    pub const STRIPE: &str = "https://api.stripe.com";

    /// Stripe's own address.
    pub fn stripe() -> Self {
        Self::STRIPE.parse().expect("the address is valid")
    }

    /// True for an address of this machine. Requests to it use no proxy.
    pub fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// True if requests are encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Address of a path with its query. The host is always that of the base.
    pub(super) fn join(&self, path: &str, query: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url.set_query((!query.is_empty()).then_some(query));
        url
    }
}

impl FromStr for ApiBase {
    type Err = InvalidBase;

    fn from_str(text: &str) -> Result<Self, InvalidBase> {
        let url = Url::parse(text.trim()).map_err(|_| InvalidBase::NoUrl)?;
        if !url.has_host() || !matches!(url.scheme(), "https" | "http") {
            return Err(InvalidBase::NoUrl);
        }
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidBase::TooMuch);
        }
        let base = Self(url);
        if base.is_encrypted() || base.is_loopback() {
            Ok(base)
        } else {
            Err(InvalidBase::NotEncrypted)
        }
    }
}

impl fmt::Display for ApiBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_encrypted_or_stays_on_this_machine() {
        for text in [
            ApiBase::STRIPE,
            "https://proxy.example/stripe/",
            "http://127.0.0.1:12111",
            "http://[::1]:1",
            "http://localhost:4242",
        ] {
            assert!(text.parse::<ApiBase>().is_ok(), "{text}");
        }
        for (text, why) in [
            ("http://api.stripe.com", InvalidBase::NotEncrypted),
            ("http://localhost.example", InvalidBase::NotEncrypted),
            ("http://10.0.0.1", InvalidBase::NotEncrypted),
            ("api.stripe.com", InvalidBase::NoUrl),
            ("ftp://127.0.0.1", InvalidBase::NoUrl),
            ("", InvalidBase::NoUrl),
            ("https://user:pass@api.stripe.com", InvalidBase::TooMuch),
            ("https://api.stripe.com?x=1", InvalidBase::TooMuch),
            ("https://api.stripe.com#x", InvalidBase::TooMuch),
        ] {
            assert_eq!(text.parse::<ApiBase>(), Err(why), "{text}");
        }
    }

    #[test]
    fn a_path_never_leads_to_another_host() {
        let base: ApiBase = "https://proxy.example/stripe/".parse().unwrap();
        let join = |path, query| base.join(path, query).to_string();
        assert_eq!(join("/v1/events", "limit=1"), "https://proxy.example/stripe/v1/events?limit=1");
        assert_eq!(join("/v1/events", ""), "https://proxy.example/stripe/v1/events");
        for path in ["//evil.example/", "@evil.example/", "/v1?x=1#y", "/v1/\\evil.example"] {
            assert_eq!(base.join(path, "").host_str(), Some("proxy.example"), "{path}");
            assert_eq!(base.join(path, "").query(), None, "{path}");
        }
    }
}
