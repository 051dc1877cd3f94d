//! Builder of HTTP clients, with TLS by rustls, ring and the certificates of the system.
//!
//! reqwest is compiled without a provider of TLS, so a client that is built in another way panics. Clippy bans it.

use std::sync::{Arc, LazyLock};

use reqwest::ClientBuilder;
use rustls::{ClientConfig, RootCertStore};

/// TLS of all clients. The certificates are read once.
static TLS: LazyLock<Option<(ClientConfig, usize)>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    let (count, _) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Some((config, count))
});

/// Starts a client. Its certificates are those of the system, or of the variable `SSL_CERT_FILE`.
#[expect(clippy::disallowed_methods, reason = "this is the builder")]
pub fn builder() -> ClientBuilder {
    let builder = reqwest::Client::builder();
    match &*TLS {
        Some((config, _)) => builder.tls_backend_preconfigured(config.clone()),
        None => builder,
    }
}

/// True if the system has certificates of authorities. Without them, no server can be verified.
pub fn has_certificates() -> bool {
    TLS.as_ref().is_some_and(|(_, count)| *count > 0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_client_is_built_without_a_provider_of_the_process() {
        assert!(rustls::crypto::CryptoProvider::get_default().is_none());
        assert!(super::builder().build().is_ok());
    }
}
