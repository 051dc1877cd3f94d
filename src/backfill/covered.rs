//! Coverage that a backfill leaves: the account is complete up to the start of its first step.

use super::reader::Reader;
use super::run::Backfill;
use super::step::Step;
use crate::coverage::{CoveredBy, Span};
use crate::store::{BackfillProgress, StoreError};
use crate::time::StripeTime;

/// Greatest lead of the ledger's clock before Stripe's, in seconds, at which the end of the complete span is right.
const CLOCK_LEAD_SECONDS: i64 = 60;

impl Backfill<'_> {
    /// Records that the account is complete up to the start of the first step, if all other steps are complete.
    ///
    /// The start is one by the ledger's clock, less a minute, because that clock may be ahead of Stripe's.
    pub(super) async fn record_coverage(
        &self,
        step: Step,
        progress: &BackfillProgress,
    ) -> Result<(), StoreError> {
        let Reader { store, scope, .. } = &self.reader;
        let known = store.log.backfill_progress(scope).await?;
        let mut began = progress.started_at;
        for other in Step::ALL.into_iter().filter(|it| *it != step && self.reader.includes(*it)) {
            match known.iter().find(|it| it.step == other.as_str() && it.ended_at.is_some()) {
                Some(ended) => began = began.min(ended.started_at),
                None => return Ok(()),
            }
        }
        let to = StripeTime(began.to_stripe_time().0 - CLOCK_LEAD_SECONDS);
        let span = Span { from: Span::BEGINNING, to, by: CoveredBy::Backfill };
        store.log.record_coverage(scope, span, None).await
    }
}
