//! File with the signing secret of an endpoint, and beside it a file with the endpoint's id.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::super::private_file;
use crate::config::WEBHOOK_SECRET;

/// Longest id that is read from a file.
const ID_BYTES_MAX: usize = 100;

/// Opened file for a secret that does not exist yet.
pub(super) struct SecretFile {
    path: PathBuf,
    file: File,
}

impl SecretFile {
    /// Creates the file, which must not exist. Only its owner may read it.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: private_file::create(path)? })
    }

    /// Writes the secret. The id is written last, because it can be found at Stripe.
    pub(super) fn write(mut self, secret: &SecretString, endpoint: &str) -> io::Result<()> {
        writeln!(self.file, "{}", secret.expose_secret())?;
        self.file.sync_all()?;
        std::fs::write(beside(&self.path), format!("{endpoint}\n"))
    }

    /// Removes the file, because there is no secret to write.
    pub(super) fn remove(self) {
        // An empty file that stays is found by the next attempt, which names it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Path of the file with the endpoint's id.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".endpoint");
    name.into()
}

/// Id of the endpoint that the configured file of secrets was written for.
pub(super) fn endpoint_of_configured() -> Option<String> {
    let path = std::env::var_os(format!("{WEBHOOK_SECRET}_FILE"))?;
    let id = std::fs::read_to_string(beside(Path::new(&path))).ok()?;
    let id = id.trim();
    (!id.is_empty() && id.len() <= ID_BYTES_MAX).then(|| id.to_owned())
}
