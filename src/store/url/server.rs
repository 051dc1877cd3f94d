//! Address of a database of PostgreSQL's.

use std::fmt;
use std::str::FromStr as _;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use super::UrlError;

/// Parameters of an address that are used.
pub(super) const KNOWN: [&str; 11] = [
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "options",
];
/// Other spellings of them, and a parameter of the client.
const ALSO_USED: [&str; 6] =
    ["ssl-mode", "ssl-root-cert", "ssl-ca", "ssl-cert", "ssl-key", "statement-cache-capacity"];
/// Other parameters of PostgreSQL's own programs, and of poolers. They are not used.
const NOT_USED: [&str; 32] = [
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "connection_limit",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "passfile",
    "pgbouncer",
    "pool_timeout",
    "require_auth",
    "requirepeer",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslnegotiation",
    "sslpassword",
    "sslsni",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "target_session_attrs",
];

/// A database of PostgreSQL's: its address, and how many connections a process opens to it.
#[derive(Clone)]
pub struct Server {
    address: SecretString,
    /// Scheme, host, port and database.
    shown: String,
    /// Parameters that were given and are not used.
    not_used: Vec<&'static str>,
    connections: u32,
}

impl Server {
    /// Connections that a process opens at most, where nothing else is said.
    pub const DEFAULT_CONNECTIONS: u32 = 16;

    /// Reads an address. An `@` after the host shows that a special character stands in the user name or password
    /// as it is: then nothing is known about which part is which.
    pub(super) fn parse(address: &str) -> Result<Self, UrlError> {
        let mut url = Url::parse(address).map_err(|_| UrlError::Unreadable)?;
        if url.fragment().is_some() || url.path().contains('@') {
            return Err(UrlError::Unreadable);
        }
        let (mut used, mut not_used) = (Vec::new(), Vec::new());
        for (name, value) in url.query_pairs() {
            let is = |known: &&&str| *known == &name;
            if KNOWN.iter().chain(&ALSO_USED).any(|known| is(&known)) || is_option(&name) {
                used.push((name.into_owned(), value.into_owned()));
            } else {
                not_used.push(*NOT_USED.iter().find(is).ok_or(UrlError::UnknownParameter)?);
            }
        }
        let value_of = |name: &str| used.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
        for (name, is_bad) in [
            ("sslmode", value_of("sslmode").is_some_and(|it| PgSslMode::from_str(it).is_err())),
            ("port", value_of("port").is_some_and(|it| it.parse::<u16>().is_err())),
        ] {
            if is_bad {
                return Err(UrlError::BadParameter(name));
            }
        }
        let shown = shown(&url);
        url.set_query(None);
        if !used.is_empty() {
            url.query_pairs_mut().extend_pairs(&used);
        }
        // The last check: whoever connects must be able to read it.
        PgConnectOptions::from_str(url.as_str()).map_err(|_| UrlError::Unreadable)?;
        let address = SecretString::from(String::from(url));
        Ok(Self { address, shown, not_used, connections: Self::DEFAULT_CONNECTIONS })
    }

    pub(super) fn with_connections(self, connections: u32) -> Self {
        Self { connections, ..self }
    }

    /// The address as a client takes it. It may hold a password: it is not to be shown.
    pub fn expose(&self) -> &str {
        self.address.expose_secret()
    }

    /// Parameters of the address that this program does not use.
    pub(in crate::store) fn not_used(&self) -> &[&'static str] {
        &self.not_used
    }

    /// Connections that a process opens at most, to the log and to the read models together.
    pub(in crate::store) fn connections(&self) -> u32 {
        self.connections
    }
}

/// Test for `options[name]`, a setting of the session.
fn is_option(name: &str) -> bool {
    name.starts_with("options[") && name.ends_with(']')
}

/// Address as it may be shown: no user name, no password, no parameter.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        (self.expose(), self.connections) == (other.expose(), other.connections)
    }
}

impl Eq for Server {}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{DatabaseUrl, UrlError};

    #[test]
    fn no_part_of_user_name_password_or_parameters_is_shown() {
        for (url, shown) in [
            (
                "postgres://ledger:se:cr@t@db.internal:5432/ledger",
                "postgres://db.internal:5432/ledger",
            ),
            ("postgres://ledger:%23%2F%3F%40%25@db/ledger", "postgres://db/ledger"),
            ("postgresql://db/ledger?user=a&password=secret", "postgresql://db/ledger"),
            ("postgres:///ledger?host=/run/postgresql", "postgres:///ledger"),
            ("postgres://[::1]:5433/ledger?options[search_path]=x", "postgres://[::1]:5433/ledger"),
            (" \u{feff}postgres://ledger:secret@db/ledger\r\n", "postgres://db/ledger"),
        ] {
            let url = DatabaseUrl::parse(url).unwrap();
            assert_eq!((url.to_string(), format!("{url:?}")), (shown.to_owned(), shown.to_owned()));
        }
    }

    #[test]
    fn a_password_whose_special_characters_are_not_encoded_is_refused_and_not_repeated() {
        for (url, error) in [
            ("postgres://ledger:hush#hush@db/ledger", UrlError::Unreadable),
            ("postgres://ledger:12#hush@db/ledger", UrlError::Unreadable),
            ("postgres://ledger:hush/hush@db/ledger", UrlError::Unreadable),
            ("postgres://ledger:12/hush@db/ledger", UrlError::Unreadable),
            ("postgres://ledger:hush?hush@db/ledger", UrlError::Unreadable),
            ("postgres://ledger:12?hush@db/ledger", UrlError::UnknownParameter),
            ("postgres://ledger:12?hush=hush@db/ledger", UrlError::UnknownParameter),
            ("postgres://ledger:secret@db:hush/ledger", UrlError::Unreadable),
            ("postgres://ledger@db/ledger?sslmode=hush", UrlError::BadParameter("sslmode")),
            ("postgres://ledger@db/ledger?port=hush", UrlError::BadParameter("port")),
            ("postgres://ledger@db/ledger?hostaddr=hush", UrlError::Unreadable),
            ("host=db password=hush", UrlError::UnknownScheme),
        ] {
            let refused = DatabaseUrl::parse(url).unwrap_err();
            assert!(!refused.to_string().contains("hush"), "{refused}");
            assert_eq!(refused, error, "{url}");
        }
    }

    #[test]
    fn what_other_programs_of_postgresql_understand_is_left_out_by_name() {
        let url =
            "postgres://a:b@db/ledger?sslmode=require&channel_binding=require&connect_timeout=5";
        let DatabaseUrl::Postgres(server) = DatabaseUrl::parse(url).unwrap() else {
            panic!("a server")
        };
        assert_eq!(server.not_used(), ["channel_binding", "connect_timeout"]);
        assert_eq!(server.expose(), "postgres://a:b@db/ledger?sslmode=require");
    }
}
