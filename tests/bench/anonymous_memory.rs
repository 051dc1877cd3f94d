//! Memory of this process, as Linux tells it; nought elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Looks at the anonymous memory again and again.
pub(crate) struct Watch {
    peak_kb: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
}

impl Watch {
    pub(crate) fn start() -> Self {
        let (peak_kb, done) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (peak, ended) = (Arc::clone(&peak_kb), Arc::clone(&done));
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                peak.fetch_max(status_kb("RssAnon:"), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { peak_kb, done }
    }

    pub(crate) fn peak_mb(self) -> u64 {
        self.done.store(true, Ordering::Relaxed);
        self.peak_kb.load(Ordering::Relaxed) / 1_000
    }
}

/// Value of a line of the process's status, in KB.
pub(crate) fn status_kb(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|it| it.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
