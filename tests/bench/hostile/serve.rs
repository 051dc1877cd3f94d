//! A `subledger serve` as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;

use super::clients::SECRET;

/// The process; it ends with this value.
pub(crate) struct Serve {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Greatest anonymous memory seen, in KiB.
    anonymous: Arc<AtomicU64>,
    _directory: TempDir,
}

/// Time between two looks at the memory of the process.
const LOOK_EVERY: Duration = Duration::from_millis(20);

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
        let anonymous = Arc::new(AtomicU64::new(0));
        let (process, peak) = (child.id(), Arc::clone(&anonymous));
        // Until the process ends. The kernel keeps no peak of this figure.
        std::thread::spawn(move || {
            while let Ok(kib) = memory_kib(process, "RssAnon:") {
                peak.fetch_max(kib, Ordering::Relaxed);
                std::thread::sleep(LOOK_EVERY);
            }
        });
        Ok(Self { child, address, anonymous, _directory: directory })
    }

    /// Greatest memory so far in MiB: anonymous, and resident, which counts the pages of the mapped log too.
    pub(crate) fn peaks_mib(&self) -> anyhow::Result<[u64; 2]> {
        let resident = memory_kib(self.child.id(), "VmHWM:")?;
        Ok([self.anonymous.load(Ordering::Relaxed), resident].map(|kib| kib / 1024))
    }
}

/// A figure of a process's memory.
fn memory_kib(process: u32, name: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let figure = status.lines().find_map(|line| line.strip_prefix(name)).context("the figure")?;
    Ok(figure.trim().trim_end_matches(" kB").parse()?)
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
