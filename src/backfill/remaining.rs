//! Subscriptions that no list shows: those on test clocks, and those that the ledger has and the lists have not.

use serde_json::value::RawValue;

use super::candidate::{Candidate, Unreadable};
use super::error::BackfillError;
use super::reader::{Extent, RESTARTS_MAX, Reader, Report};
use super::sink::Sink;
use super::step::{List, Step, subscriptions_query};
use crate::ids::InvoiceId;
use crate::projection::row::SubscriptionRow;
use crate::store::{BackfillProgress, SubscriptionFilter, SubscriptionKey};
use crate::stripe::observation::ApiRequest;
use crate::stripe_api::{ApiAnswer, ApiError};
use crate::time::StripeTime;

/// Rows of the ledger that are read at once.
pub(super) const ROWS_AT_ONCE: usize = 500;

/// Number of times that rows are read again because the latest invoice of one is gone.
const AGAIN_MAX: u32 = 20;

/// Invoices that a comparison remembers to have asked for, at most.
const ASKED_INVOICES_MAX: usize = 10_000;

/// List of the test clocks.
const CLOCKS: &str = "/v1/test_helpers/test_clocks";

impl<S: Sink> Reader<'_, S> {
    /// Reads the subscriptions of every test clock. The cursor is the last clock that was read to its end.
    pub(super) async fn read_test_clocks(
        &mut self,
        progress: &mut BackfillProgress,
        report: Report<'_>,
    ) -> Result<(), BackfillError> {
        let account = self.scope.account.clone();
        let mut restarts = 0;
        loop {
            let after = progress.cursor.clone();
            let page = self.client.list_page(CLOCKS, &[], after.as_deref(), Some(&account)).await;
            let page = match page {
                Err(ApiError::AgedOut { .. }) if after.is_some() && restarts < RESTARTS_MAX => {
                    restarts += 1;
                    progress.cursor = None;
                    continue;
                }
                page => page?,
            };
            for clock in &page.objects {
                let Some(clock) = id_of(clock.get()) else { continue };
                self.read_test_clock(&clock, progress, report).await?;
                progress.cursor = Some(clock);
                self.save(progress).await?;
            }
            if !page.has_more {
                return Ok(());
            }
        }
    }

    /// Reads what a list shows only if its test clock is named.
    async fn read_test_clock(
        &mut self,
        clock: &str,
        progress: &mut BackfillProgress,
        report: Report<'_>,
    ) -> Result<(), BackfillError> {
        for list in lists_of_clock(clock) {
            let mut after = None;
            loop {
                let page = self.page(&list, after.as_deref()).await?;
                self.take(Step::TestClocks, &page.objects, &page.request, progress).await?;
                report(progress);
                if !page.has_more {
                    break;
                }
                after = page.last_id;
            }
        }
        Ok(())
    }

    /// Asks for each subscription of the ledger that is not over and that no list of this run has shown, and for latest
    /// invoices of which nothing is known. The cursor is the last subscription that was looked at.
    pub(super) async fn read_remaining(
        &mut self,
        progress: &mut BackfillProgress,
        report: Report<'_>,
    ) -> Result<(), BackfillError> {
        self.note_what_lists_show().await?;
        let scope = self.scope.clone();
        let filter = SubscriptionFilter {
            account: Some(scope.account.clone()),
            livemode: Some(scope.livemode),
            ..SubscriptionFilter::default()
        };
        let mut again = 0;
        loop {
            let after = progress
                .cursor
                .as_deref()
                .map(|id| SubscriptionKey { scope: scope.clone(), id: id.into() });
            let read = self.store.read_model.subscriptions(&filter, after.as_ref(), ROWS_AT_ONCE);
            let (_, rows) = read.await?;
            let mut is_one_gone = false;
            for row in &rows {
                is_one_gone |= self.read_row(row, progress).await?;
            }
            report(progress);
            // Where a draft is gone, the latest invoice is now another one, which may be a draft that is gone as well.
            if is_one_gone && again < AGAIN_MAX {
                again += 1;
                self.sink.caught_up().await?;
                continue;
            }
            again = 0;
            let Some(last) = rows.last() else { return Ok(()) };
            progress.cursor = Some(last.subscription_id.to_string());
            self.save(progress).await?;
        }
    }

    /// Reads the ids of the lists that an interrupted process read. A page costs one request, and to ask for each of its
    /// objects a hundred.
    async fn note_what_lists_show(&mut self) -> Result<(), BackfillError> {
        for step in self.unknown_lists() {
            if let Some(list) = step.list(StripeTime::default(), StripeTime::default()) {
                self.note_list(&list).await?;
                continue;
            }
            let clocks = List { path: CLOCKS, query: Vec::new() };
            let clocks = match self.note_list(&clocks).await {
                // What imitates Stripe may know no test clocks.
                Err(BackfillError::Api(ApiError::Refused { status: 404, .. })) => Vec::new(),
                clocks => clocks?,
            };
            for clock in clocks {
                for list in lists_of_clock(&clock) {
                    self.note_list(&list).await?;
                }
            }
        }
        Ok(())
    }

    /// Notes the ids of a list as seen, and returns them if they are those of test clocks.
    async fn note_list(&mut self, list: &List) -> Result<Vec<String>, BackfillError> {
        let (mut clocks, mut after) = (Vec::new(), None);
        loop {
            let page = self.page(list, after.as_deref()).await?;
            for object in &page.objects {
                self.note_seen(object.get());
            }
            if list.path == CLOCKS {
                clocks.extend(page.ids());
            }
            if !page.has_more {
                return Ok(clocks);
            }
            after = page.last_id;
        }
    }

    /// Reads what no list has shown of a row. True if its latest invoice is gone.
    async fn read_row(
        &mut self,
        row: &SubscriptionRow,
        progress: &mut BackfillProgress,
    ) -> Result<bool, BackfillError> {
        let (id, customer) = (row.subscription_id.as_str(), row.customer_id.as_str());
        let is_read = matches!(self.extent, Extent::Everything { .. }) || !is_over(row);
        if is_read && !self.has_seen(customer) {
            // A deleted customer is in no list.
            self.note_seen_id(customer);
            if let Some(answer) = self.get(&format!("/v1/customers/{customer}"), &[]).await? {
                self.take_answer(&answer, progress).await?;
            }
        }
        if !is_over(row) && !self.has_seen(id) {
            let query = [("expand[]", "discounts")];
            if let Some(answer) = self.get(&format!("/v1/subscriptions/{id}"), &query).await? {
                self.take_answer(&answer, progress).await?;
            } else {
                let request = self.request_of_now(customer).await?;
                let gone = Candidate::gone_subscription(id, customer, &self.scope, &request);
                self.take_gone(gone, progress).await?;
            }
        }
        self.read_latest_invoice(row, progress).await
    }

    /// Asks for the latest invoice where the list may not have shown how it ended: it was made before the invoices that
    /// the list shows, or it was a draft that Stripe deleted. True if it is gone.
    async fn read_latest_invoice(
        &mut self,
        row: &SubscriptionRow,
        progress: &mut BackfillProgress,
    ) -> Result<bool, BackfillError> {
        let Some(id) = &row.latest_invoice_id else { return Ok(false) };
        let may_have_changed = match row.latest_invoice_status.as_deref() {
            // If it is over for long, its invoice is older than those that are listed. To ask for each of them would
            // take as many requests as there ever were subscriptions.
            None => !is_over(row) || self.lists_invoices_of(row.ended_at),
            Some(status) => matches!(status, "draft" | "open"),
        };
        if !may_have_changed || self.has_seen(id.as_str()) {
            return Ok(false);
        }
        self.note_seen_id(id.as_str());
        if let Some(answer) = self.get(&format!("/v1/invoices/{id}"), &[]).await? {
            self.take_answer(&answer, progress).await?;
            if self.extent == Extent::Current && self.asked_invoices.len() < ASKED_INVOICES_MAX {
                self.asked_invoices.push((row.subscription_id.clone(), id.clone()));
            }
            return Ok(false);
        }
        let request = self.request_of_now(row.customer_id.as_str()).await?;
        let gone = Candidate::gone_invoice(id.as_str(), row, &self.scope, &request);
        self.take_gone(gone, progress).await?;
        // The subscription goes on to name it, so the one before may be known to nobody and too old for the list.
        let query = vec![("subscription", row.subscription_id.to_string())];
        let page = self.page(&List { path: "/v1/invoices", query }, None).await?;
        self.take(Step::Invoices, &page.objects, &page.request, progress).await?;
        Ok(true)
    }

    /// Asks for invoices, one by one.
    pub(crate) async fn read_invoices(
        &mut self,
        ids: &[InvoiceId],
        progress: &mut BackfillProgress,
    ) -> Result<(), BackfillError> {
        for id in ids {
            if self.has_seen(id.as_str()) {
                continue;
            }
            self.note_seen_id(id.as_str());
            if let Some(answer) = self.get(&format!("/v1/invoices/{id}"), &[]).await? {
                self.take_answer(&answer, progress).await?;
            }
        }
        Ok(())
    }

    /// Reads one object. None if it does not exist.
    pub(super) async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Option<ApiAnswer>, ApiError> {
        match self.client.get(path, query, Some(&self.scope.account)).await {
            Ok(answer) => Ok(Some(answer)),
            Err(ApiError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn take_answer(
        &mut self,
        answer: &ApiAnswer,
        progress: &mut BackfillProgress,
    ) -> Result<(), BackfillError> {
        let ApiAnswer { body, request } = answer;
        let Ok(object) = RawValue::from_string(body.trim().to_owned()) else {
            progress.unreadable += 1;
            return Ok(());
        };
        self.take(Step::Remaining, &[object], request, progress).await
    }

    /// A request that tells Stripe's time, for an object that is gone: the answer 404 tells none.
    async fn request_of_now(&self, customer: &str) -> Result<ApiRequest, ApiError> {
        let (path, account) = ("/v1/subscriptions", Some(&self.scope.account));
        let query = [("customer", customer), ("status", "all")];
        let page = match self.client.list_page(path, &query, None, account).await {
            // The customer is gone as well.
            Err(ApiError::NotFound { .. } | ApiError::Refused { .. }) => {
                self.client.list_page(path, &[], None, account).await?
            }
            page => page?,
        };
        Ok(self.seen_now(&page.request))
    }

    /// Observes that an object is gone.
    async fn take_gone(
        &mut self,
        gone: Result<Candidate, Unreadable>,
        progress: &mut BackfillProgress,
    ) -> Result<(), BackfillError> {
        progress.seen += 1;
        self.take_one(gone, progress).await
    }
}

/// Lists that show what belongs to a test clock.
fn lists_of_clock(clock: &str) -> [List; 2] {
    [("/v1/customers", Vec::new()), ("/v1/subscriptions", subscriptions_query())].map(
        |(path, mut query)| {
            query.push(("test_clock", clock.to_owned()));
            List { path, query }
        },
    )
}

/// True if Stripe never changes the status of the subscription again.
pub(super) fn is_over(row: &SubscriptionRow) -> bool {
    matches!(row.status.as_str(), "canceled" | "incomplete_expired")
}

fn id_of(object: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Named {
        id: String,
    }
    serde_json::from_str::<Named>(object).ok().map(|it| it.id)
}
