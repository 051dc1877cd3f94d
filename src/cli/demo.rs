//! `demo`: demonstration that needs no setup.
//!
//! It starts a server on a loopback port, with a ledger in a temporary directory. A simulated Stripe posts the events of
//! whole subscription histories over real HTTP with real signatures: late, out of order and more than once. The
//! simulator knows the expected final state, with which the read model is compared. For two days no webhook arrives.

mod outage;

use std::io::Write;
use std::time::Duration;

use self::outage::Outage;
use super::current::{rows, table};
use super::history::instant;
use super::post::{WebhookTarget, post};
use super::report::{Exit, Failure, print_message};
use super::{Context, history, output, progress, signals};
use crate::audit::{self, History, Past, Subject, SubjectKind};
use crate::config::{Secrets, WebhookSecrets};
use crate::ids::{AccountId, Scope};
use crate::service::{Options, Service, StartError};
use crate::simulate::{Delivery, Plan, TruthRow, deliver, simulate};
use crate::store::{DatabaseUrl, Store, StoreError, SubscriptionFilter};
use crate::time::{DAY_SECONDS, StripeTime};
use crate::view::SubscriptionView;

/// Number of simulated subscriptions.
const SUBSCRIPTIONS: usize = 300;
/// Number of simulated months, of thirty days each.
const MONTHS: u32 = 12;
/// Number of subscriptions in the table.
const ROWS_SHOWN: usize = 12;
/// Address to listen on if the default one is taken: any free port.
const LISTEN_ANYWHERE: &str = "127.0.0.1:0";
/// Number of concurrent posts.
const CONCURRENCY: usize = 8;
/// Interval between checks whether the read model has caught up.
const POLL: Duration = Duration::from_millis(20);
/// Longest history that is shown if there is a shorter one, in events.
const HISTORY_EVENTS_MAX: usize = 40;
/// Number of users whose histories are compared.
const HISTORIES_TRIED: usize = 200;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Exit after the demonstration instead of serving on
    #[arg(long)]
    once: bool,

    /// Simulate the year before this time, such as 2026-03-01T00:00:00Z. The same time gives the same subscriptions
    /// [default: now]
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<StripeTime>,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let stop = signals::stop_token()?;
    let directory = tempfile::Builder::new().prefix("subledger-demo-").tempdir()?;
    let (secrets, token) = (WebhookSecrets::parse(&random("whsec_")?)?, random("demo_")?);
    let database = DatabaseUrl::from_path(directory.path().join("subledger.db"));
    let options = Options {
        api_tokens: Secrets::parse(&token),
        clock: context.clock.clone(),
        ..Options::new(database, secrets.clone())
    };
    let service = match Service::start(options.clone()).await {
        Err(StartError::Listen { .. }) => {
            Service::start(Options { listen: LISTEN_ANYWHERE.to_owned(), ..options }).await?
        }
        started => started?,
    };
    let now = args.until.unwrap_or_else(|| context.clock.now().to_stripe_time());
    let demo = Demo { service: &service, secrets, token, context, now };
    let exit = tokio::select! {
        exit = demo.run() => exit?,
        () = stop.cancelled() => Exit::Done,
    };
    if !args.once && !stop.is_cancelled() {
        print_message("serving until Ctrl-C; the temporary ledger is then deleted");
        stop.cancelled().await;
    }
    service.stop().await;
    Ok(exit)
}

struct Demo<'a> {
    service: &'a Service,
    secrets: WebhookSecrets,
    token: String,
    context: &'a Context,
    /// End of the simulated year, for which access is shown.
    now: StripeTime,
}

impl Demo<'_> {
    async fn run(&self) -> anyhow::Result<Exit> {
        let mut out = output::stdout();
        let app = self.service.app();
        let url = format!("http://{}", self.service.address());
        let now = self.now;
        let start = now.0 - i64::from(MONTHS) * 30 * DAY_SECONDS;
        let plan = Plan {
            subscriptions: SUBSCRIPTIONS,
            months: MONTHS,
            start: StripeTime(start - start.rem_euclid(DAY_SECONDS)),
            ..Plan::default()
        };
        let simulation = simulate(&plan);
        let truth = simulation.truth;
        // Posts are concurrent, so the order of two bodies of one event in the log would be random.
        let delivery = Delivery { second_bodies: 0.0, ..Delivery::default() };
        let outage = Outage::start(&plan).await?;
        let (lost, heard): (Vec<_>, Vec<_>) =
            simulation.events.into_iter().partition(|event| outage.loses(event));
        let events = deliver(heard, &delivery);
        writeln!(
            out,
            "Simulated {} subscriptions over {MONTHS} months. Posting their events to {url}:\n\
             signed, late, out of order, and some of them twice.",
            truth.len()
        )?;
        out.flush()?;
        let target = WebhookTarget {
            url: format!("{url}/api/stripe/webhook/"),
            secrets: self.secrets.clone(),
            concurrency: CONCURRENCY,
            clock: self.context.clock.clone(),
        };
        let bar = progress::bar("posting", events.len() as u64);
        let posted = post(&target, events, bar).await?;
        catch_up(&app.store).await?;
        writeln!(
            out,
            "\nThe log has {} events; {} deliveries were duplicates, and {} events were lost.\n",
            posted.stored,
            posted.duplicates,
            lost.len()
        )?;
        outage.show(&app.store, &mut out).await?;

        let all = rows(&app.store, &SubscriptionFilter::default(), now).await?;
        let own: Vec<SubscriptionView> = all
            .iter()
            .filter(|view| view.row.account.as_str().is_empty() && view.row.livemode)
            .take(ROWS_SHOWN)
            .cloned()
            .collect();
        output::write_table(&table(&own), &mut out)?;
        writeln!(out, "… the first {} of {} subscriptions\n", own.len(), all.len())?;

        if let Some(history) = self.choose_history(&all).await? {
            writeln!(out, "History of user {}:\n", history.subject.id)?;
            output::write_table(&history::table(&history.events), &mut out)?;
            writeln!(out)?;
            self.curl_lines(&url, &history.subject.id, &mut out)?;
        }
        let exit = compare(&truth, &all, &mut out)?;
        out.flush()?;
        Ok(exit)
    }

    /// Chooses a short history in which a payment fails and the subscription recovers.
    async fn choose_history(
        &self,
        all: &[SubscriptionView],
    ) -> Result<Option<History>, StoreError> {
        let app = self.service.app();
        let users = all
            .iter()
            .filter(|view| view.row.account.as_str().is_empty() && view.row.livemode)
            .filter(|view| view.row.payment_failed_at.is_some())
            .filter_map(|view| view.row.user_id.clone());
        let mut best: Option<(usize, std::cmp::Reverse<usize>, History)> = None;
        for id in users.take(HISTORIES_TRIED) {
            let scope = Scope { account: AccountId::default(), livemode: true };
            let subject = Subject { kind: SubjectKind::User, id, scope };
            let found = audit::history(&app.store, subject, Past::default()).await?;
            let Some((_, history)) = found else { continue };
            let short = usize::from(history.events.len() <= HISTORY_EVENTS_MAX);
            let recovers = history.events.iter().flat_map(|event| &event.changes).any(|change| {
                change.field == "status" && change.from == "past_due" && change.to == "active"
            });
            // Late events are random, because posts are concurrent. The choice must not depend on them.
            let merit = short * 2 + usize::from(recovers);
            let brevity = std::cmp::Reverse(history.events.len());
            if best.as_ref().is_none_or(|(m, b, _)| (merit, brevity) > (*m, *b)) {
                best = Some((merit, brevity, history));
            }
        }
        Ok(best.map(|(_, _, history)| history))
    }

    fn curl_lines(&self, url: &str, user: &str, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "Try the API:\n\n  TOKEN={}", self.token)?;
        for path in [
            format!("/v1/users/{user}"),
            format!("/v1/users/{user}/history"),
            "/v1/subscriptions?status=past_due&limit=5".to_owned(),
            "/v1/log".to_owned(),
        ] {
            writeln!(out, "  curl -s -H \"Authorization: Bearer $TOKEN\" '{url}{path}'")?;
        }
        writeln!(out)
    }
}

/// Waits until the live read model has folded the whole log.
async fn catch_up(store: &Store) -> Result<(), StoreError> {
    let size = store.log.head().await?.size;
    while store.read_model.live().await?.is_none_or(|live| live.position < size) {
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Compares the read model with every field that the simulator knows.
fn compare(
    truth: &[TruthRow],
    rows: &[SubscriptionView],
    out: &mut impl Write,
) -> anyhow::Result<Exit> {
    let rows: std::collections::BTreeMap<_, _> = rows
        .iter()
        .map(|view| (&view.row, &view.row.subscription_id))
        .map(|(row, id)| ((row.account.as_str(), row.livemode, id.as_str()), row))
        .collect();
    let (mut equal, mut fields) = (0, 0);
    for wanted in truth {
        let key = (wanted.account.as_str(), wanted.livemode, wanted.subscription_id.as_str());
        let row = serde_json::to_value(rows.get(&key))?;
        let serde_json::Value::Object(known) = serde_json::to_value(wanted)? else { continue };
        let wrong: Vec<&String> = known
            .iter()
            .filter(|(name, value)| row.get(name) != Some(*value))
            .map(|it| it.0)
            .collect();
        fields += known.len();
        if wrong.is_empty() {
            equal += 1;
        } else {
            writeln!(out, "{} differs from the expected state: {wrong:?}", wanted.subscription_id)?;
        }
    }
    writeln!(
        out,
        "Compared with the expected state: {equal} of {} subscriptions are equal ({fields} fields).",
        truth.len()
    )?;
    let all_equal = equal == truth.len() && rows.len() == truth.len();
    Ok(if all_equal { Exit::Done } else { Exit::No })
}

/// Random text that cannot be guessed.
fn random(prefix: &str) -> anyhow::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::failed(
            format!("cannot get random bytes: {error}"),
            "the operating system provides them once it has started",
        )
    })?;
    Ok(format!("{prefix}{}", hex::encode(bytes)))
}
