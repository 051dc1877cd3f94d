//! Address of a PostgreSQL database.

use std::fmt;
use std::str::FromStr as _;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use super::error::UrlError;
use super::parameters::{ALIASES, IGNORED, USED};

/// Address of a PostgreSQL database, and the maximum number of connections of a process.
#[derive(Clone)]
pub struct Server {
    address: SecretString,
    /// Scheme, host, port and database, for display.
    shown: String,
    /// Parameters of the address that are ignored.
    ignored: Vec<&'static str>,
    connections: u32,
}

impl Server {
    /// Default of the maximum number of connections.
    pub const DEFAULT_CONNECTIONS: u32 = 16;

    /// Reads an address. An `@` after the host shows an unencoded special character in the user name or password, so
    /// that the parts cannot be separated.
    pub(super) fn parse(address: &str) -> Result<Self, UrlError> {
        let mut url = Url::parse(address).map_err(|_| UrlError::Unreadable)?;
        if url.fragment().is_some() || url.path().contains('@') {
            return Err(UrlError::Unreadable);
        }
        let (mut used, mut ignored) = (Vec::new(), Vec::new());
        for (name, value) in url.query_pairs() {
            let is = |known: &&&str| *known == &name;
            if USED.iter().chain(&ALIASES).any(|known| is(&known)) || is_option(&name) {
                used.push((name.into_owned(), value.into_owned()));
            } else {
                ignored.push(*IGNORED.iter().find(is).ok_or(UrlError::UnknownParameter)?);
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
        // Checked last with the parser of the client.
        PgConnectOptions::from_str(url.as_str()).map_err(|_| UrlError::Unreadable)?;
        let address = SecretString::from(String::from(url));
        Ok(Self { address, shown, ignored, connections: Self::DEFAULT_CONNECTIONS })
    }

    pub(super) fn with_connections(self, connections: u32) -> Self {
        Self { connections, ..self }
    }

    /// Address for the client. It may contain a password and must not be displayed.
    pub fn expose(&self) -> &str {
        self.address.expose_secret()
    }

    /// Parameters of the address that are ignored.
    pub(in crate::store) fn ignored(&self) -> &[&'static str] {
        &self.ignored
    }

    /// Maximum number of connections of a process, to the log and to the read models together.
    pub(in crate::store) fn connections(&self) -> u32 {
        self.connections
    }
}

/// True for `options[name]`, a setting of the session.
fn is_option(name: &str) -> bool {
    name.starts_with("options[") && name.ends_with(']')
}

/// Address for display, without user name, password and parameters.
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
        assert_eq!(server.ignored(), ["channel_binding", "connect_timeout"]);
        assert_eq!(server.expose(), "postgres://a:b@db/ledger?sslmode=require");
    }
}
