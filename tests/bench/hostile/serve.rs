//! A `subledger serve` as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use tempfile::TempDir;

use super::clients::SECRET;

/// The process; it ends with this value.
pub(crate) struct Serve {
    child: Child,
    pub(crate) address: SocketAddr,
    _directory: TempDir,
}

impl Serve {
    /// Starts it on an empty ledger, and waits until it listens.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_subledger"))
            .current_dir(directory.path())
            .env_clear()
            .env("STRIPE_WEBHOOK_SECRET", SECRET)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("its log")?).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("http://")?;
            rest.split(',').next()?.parse().ok()
        });
        // Read on, or it would wait for somebody to listen.
        std::thread::spawn(move || lines.for_each(drop));
        let address = address.context("it listens")?;
        Ok(Self { child, address, _directory: directory })
    }

    /// Greatest resident memory so far.
    pub(crate) fn peak_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
