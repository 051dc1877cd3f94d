//! The events of the benchmark, and the requests that carry them.

use subledger::clock::Clock;
use subledger::simulate::{Format, bench_events, sign};

use crate::server::SECRET;

/// Events a customer: each customer's subscription changes so often.
const EVENTS_A_CUSTOMER: usize = 5;

/// So many distinct events, in true order.
pub(crate) fn bodies(format: Format, count: usize) -> Vec<String> {
    let customers = count.div_ceil(EVENTS_A_CUSTOMER);
    bench_events(count, customers, format).map(|event| event.body).collect()
}

/// A request for each body, ready to be sent, signed now.
pub(crate) fn posts(bodies: &[String]) -> Vec<Vec<u8>> {
    bodies.iter().map(|body| post(body)).collect()
}

fn post(body: &str) -> Vec<u8> {
    let signature = sign(SECRET, Clock::System.now().to_stripe_time().0, body.as_bytes());
    format!(
        "POST /api/stripe/webhook/ HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n\
         Accept: */*; q=0.5, application/xml\r\nCache-Control: no-cache\r\nContent-Type: application/json; charset=utf-8\r\n\
         Stripe-Signature: {signature}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len(),
    )
    .into_bytes()
}
