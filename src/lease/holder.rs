//! Names of processes that hold leases, and whether those processes are alive.

use std::time::Duration;

/// Time between two renewals of a lease.
pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(1);
/// Time without a renewal after which a lease that is watched is over.
pub(crate) const SILENCE: Duration = Duration::from_secs(5);
/// Interval between checks of a watched lease.
pub(crate) const CHECK_EVERY: Duration = Duration::from_millis(250);

/// Unique name of this process: its number, its start, its machine, and random digits.
pub(crate) fn holder_name() -> String {
    let mut random = [0; 8];
    // Without randomness the rest is enough: leases are fenced by token, not by name.
    let _ = getrandom::fill(&mut random);
    let process = std::process::id();
    let place = machine().unwrap_or_default();
    let started = started(process).unwrap_or_default();
    format!("{process}-{started}-{place}-{}", hex::encode(random))
}

/// True if the process of this name has certainly ended: it ran on this machine and is not there now.
///
/// False if that cannot be known: on another machine, in another container, on another system than Linux.
pub(crate) fn is_gone(holder: &str) -> bool {
    let mut parts = holder.split('-');
    let (Some(process), Some(began), Some(place)) = (parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let Ok(process) = process.parse() else { return false };
    if began.is_empty() || machine().is_none_or(|here| here != place) {
        return false;
    }
    started(process).is_none_or(|it| it != began)
}

/// This boot of this machine, and the namespace in which its processes are numbered.
fn machine() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let number: String = namespace.to_str()?.chars().filter(char::is_ascii_digit).collect();
    let boot: String = boot.chars().filter(char::is_ascii_hexdigit).take(12).collect();
    Some(format!("{boot}.{number}"))
}

/// Start of a process, in ticks since the boot: field 22 of its `stat`, of which only the second, the
/// program's name in brackets, can hold spaces.
fn started(process: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_is_gone_only_where_that_is_certain() {
        let own = holder_name();
        assert!(!is_gone(&own), "{own}");
        let place = machine().unwrap();
        let started = started(std::process::id()).unwrap();
        let process = std::process::id();
        assert!(is_gone(&format!("{process}-1-{place}-0")), "another process had this number");
        assert!(is_gone(&format!("4194305-{started}-{place}-0")), "no process has this number");
        assert!(!is_gone(&format!("4194305-{started}-elsewhere-0")));
        assert!(!is_gone("4194305-00aa11bb22cc33dd"), "a name of an older version");
        assert!(!is_gone("another"));
    }
}
