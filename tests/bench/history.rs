//! A long log, made once and kept: simulated lives in the order in which their events might arrive.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;
use subledger::clock::Clock;
use subledger::simulate::{self, Plan};
use subledger::store::{DatabaseUrl, EventFacts, EventSource, NewEvent, OpenMode, Store};
use subledger::stripe::Envelope;

/// Events that are appended in one transaction.
const BATCH: usize = 2_000;

/// Size of a log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) events: usize,
    pub(crate) subscriptions: usize,
    pub(crate) months: u32,
}

impl Size {
    /// A million events, unless `BENCH_EVENTS`, `BENCH_SUBSCRIPTIONS` and `BENCH_MONTHS` say otherwise.
    pub(crate) fn from_environment() -> anyhow::Result<Self> {
        Ok(Self {
            events: from_environment("BENCH_EVENTS", 1_000_000)?,
            subscriptions: from_environment("BENCH_SUBSCRIPTIONS", 100_000)?,
            months: from_environment("BENCH_MONTHS", 1)?,
        })
    }
}

/// Value of an environment variable, or this default.
pub(crate) fn from_environment<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    name: &str,
    default: T,
) -> anyhow::Result<T> {
    std::env::var(name).map_or(Ok(default), |it| it.parse().context(name.to_owned()))
}

/// The file of a log of this size, which is made if it is not there yet.
pub(crate) async fn log_of(size: Size) -> anyhow::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("history-{}-{}.db", size.events, size.subscriptions));
    if path.exists() {
        return Ok(path);
    }
    eprintln!("making {}, once", path.display());
    let making = tempfile::tempdir_in(folder)?;
    let (bodies, places) = spool(size, making.path())?;
    let unfinished = making.path().join("subledger.db");
    let url = DatabaseUrl::from_path(unfinished.clone());
    let store = Store::open(&url, OpenMode::Create, Clock::System).await?;
    for places in places.chunks(BATCH) {
        let mut events = Vec::with_capacity(BATCH);
        for place in places {
            let mut body = vec![0; place.bytes];
            bodies.read_exact_at(&mut body, place.offset)?;
            let body = String::from_utf8(body)?;
            let facts = EventFacts::from(&Envelope::parse(&body)?);
            events.push(NewEvent::new(facts, EventSource::Import, None, body)?);
        }
        store.log.append(&events).await?;
    }
    store.close().await;
    std::fs::rename(unfinished, &path)?;
    Ok(path)
}

/// Place of a body in the file of all bodies, and the time of its arrival.
struct Place {
    arrival: i64,
    offset: u64,
    bytes: usize,
}

/// All bodies in a file, because they may be more than fits into memory, and their places in the
/// order of their arrival.
fn spool(size: Size, folder: &Path) -> anyhow::Result<(File, Vec<Place>)> {
    let path = folder.join("bodies");
    let mut writer = BufWriter::new(File::create_new(&path)?);
    let (mut places, mut offset) = (Vec::new(), 0);
    let Size { subscriptions, months, .. } = size;
    let plan = Plan { subscriptions, months, ..Plan::default() };
    for event in simulate::lives(&plan).flat_map(|life| life.events) {
        writer.write_all(event.body.as_bytes())?;
        let arrival = event.created + delay(offset);
        places.push(Place { arrival, offset, bytes: event.body.len() });
        offset += event.body.len() as u64;
    }
    writer.flush()?;
    places.sort_by_key(|place| place.arrival);
    anyhow::ensure!(places.len() >= size.events, "only {} events in {size:?}", places.len());
    places.truncate(size.events);
    Ok((File::open(path)?, places))
}

/// Seconds until an event arrives: mostly few, sometimes hours.
fn delay(number: u64) -> i64 {
    let dice = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let longest = if dice % 100 < 97 { 3 } else { 4 * 3_600 };
    i64::try_from(dice / 100 % longest).unwrap_or(0)
}
