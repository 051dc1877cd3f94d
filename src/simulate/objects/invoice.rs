//! Invoices.

use super::customer::Customer;
use super::line::{Line, LineContext};
use super::old;
use super::subscription::Subscription;
use super::{Home, Metadata, Render, automatic_tax, render_metadata};
use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{NONE, NULL, Object, embedded_list, object};

/// Invoice of a subscription. Instants are Unix seconds by the clock of the object.
#[derive(Clone, Debug)]
pub(crate) struct Invoice {
    pub(crate) id: String,
    pub(crate) subscription: String,
    /// Metadata of the subscription at the finalization.
    pub(crate) subscription_metadata: Metadata,
    pub(crate) customer: String,
    pub(crate) customer_email: String,
    pub(crate) customer_name: String,
    pub(crate) status: Status,
    pub(crate) created: i64,
    pub(crate) billing_reason: &'static str,
    pub(crate) lines: Vec<Line>,
    pub(crate) period_start: i64,
    pub(crate) period_end: i64,
    pub(crate) auto_advance: bool,
    pub(crate) attempt_count: u32,
    pub(crate) next_payment_attempt: Option<i64>,
    pub(crate) due_date: Option<i64>,
    pub(crate) finalized_at: Option<i64>,
    pub(crate) paid_at: Option<i64>,
    pub(crate) voided_at: Option<i64>,
    pub(crate) marked_uncollectible_at: Option<i64>,
    /// Ids of the payment intent and the charge.
    pub(crate) payment: Option<(String, String)>,
    pub(crate) home: Home,
}

/// Stripe's status of an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Draft,
    Open,
    Paid,
    Uncollectible,
    Void,
}

impl Status {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Uncollectible => "uncollectible",
            Self::Void => "void",
        }
    }
}

impl Invoice {
    /// Creates a draft of these lines for a subscription.
    pub(crate) fn draft(
        id: String,
        created: i64,
        billing_reason: &'static str,
        subscription: &Subscription,
        customer: &Customer,
        lines: Vec<Line>,
    ) -> Self {
        Self {
            id,
            subscription: subscription.id.clone(),
            subscription_metadata: subscription.metadata.clone(),
            customer: customer.id.clone(),
            customer_email: customer.email.clone(),
            customer_name: customer.name.clone(),
            status: Status::Draft,
            created,
            billing_reason,
            lines,
            period_start: subscription.period_start(),
            period_end: created,
            auto_advance: true,
            attempt_count: 0,
            next_payment_attempt: None,
            due_date: None,
            finalized_at: None,
            paid_at: None,
            voided_at: None,
            marked_uncollectible_at: None,
            payment: None,
            home: subscription.home.clone(),
        }
    }

    /// Amount due in minor units, at least zero.
    pub(crate) fn amount_due(&self) -> i64 {
        self.total().max(0)
    }

    pub(crate) fn is_paid(&self) -> bool {
        self.status == Status::Paid
    }

    fn total(&self) -> i64 {
        self.lines.iter().map(|line| line.amount).sum()
    }

    fn amount_paid(&self) -> i64 {
        if self.status == Status::Paid { self.amount_due() } else { 0 }
    }

    fn number(&self) -> Option<String> {
        self.finalized_at?;
        let prefix = self.customer[self.customer.len() - 8..].to_ascii_uppercase();
        Some(format!("{prefix}-{:04}", self.created / 3_600 % 10_000))
    }

    fn customer_fields(&self, invoice: &mut Object) {
        invoice.set("customer", &self.customer);
        invoice.set("customer_address", NULL);
        invoice.set("customer_email", &self.customer_email);
        invoice.set("customer_name", &self.customer_name);
        invoice.set("customer_phone", NULL);
        invoice.set("customer_shipping", NULL);
        invoice.set("customer_tax_exempt", "none");
        invoice.set("customer_tax_ids", NONE);
    }

    fn amount_fields(&self, invoice: &mut Object, version: ApiVersion) {
        let total = self.total();
        let due = self.amount_due();
        invoice.set("amount_due", due);
        invoice.set("amount_paid", self.amount_paid());
        invoice.set("amount_remaining", due - self.amount_paid());
        invoice.set("starting_balance", 0_i64);
        invoice.set("ending_balance", self.finalized_at.map(|_| 0_i64));
        invoice.set("subtotal", total);
        invoice.set("total", total);
        invoice.set("total_discount_amounts", NONE);
        invoice.set("post_payment_credit_notes_amount", 0_i64);
        invoice.set("pre_payment_credit_notes_amount", 0_i64);
        if version >= ApiVersion::Acacia {
            invoice.set("amount_shipping", 0_i64);
            invoice.set("subtotal_excluding_tax", total);
            invoice.set("total_excluding_tax", total);
            invoice.set("total_pretax_credit_amounts", NONE);
        }
        if version >= ApiVersion::Basil {
            invoice.set("amount_overpaid", 0_i64);
            invoice.set("total_taxes", NONE);
        } else {
            invoice.set("tax", NULL);
            invoice.set("total_tax_amounts", NONE);
        }
    }

    fn link_fields(&self, invoice: &mut Object, version: ApiVersion) {
        let details = || {
            object! {
                "metadata": render_metadata(&self.subscription_metadata),
                "subscription": &self.subscription,
            }
        };
        if version >= ApiVersion::Basil {
            invoice.set(
                "parent",
                object! {
                    "quote_details": NULL,
                    "subscription_details": details(),
                    "type": "subscription_details",
                },
            );
            return;
        }
        invoice.set("application_fee_amount", NULL);
        invoice.set("quote", NULL);
        invoice.set("transfer_data", NULL);
        invoice.set("charge", self.payment.as_ref().map(|(_, charge)| charge));
        invoice.set("discount", NULL);
        invoice.set("paid", self.status == Status::Paid);
        invoice.set("paid_out_of_band", false);
        invoice.set("payment_intent", self.payment.as_ref().map(|(intent, _)| intent));
        invoice.set("subscription", &self.subscription);
        if version >= ApiVersion::Acacia {
            let mut details = details();
            details.remove("subscription");
            invoice.set("subscription_details", details);
        }
    }

    fn version_fields(&self, invoice: &mut Object, version: ApiVersion) {
        if version >= ApiVersion::Acacia {
            invoice.set("application", NULL);
            invoice.set("automatically_finalizes_at", NULL);
            invoice.set("effective_at", self.finalized_at);
            invoice.set("from_invoice", NULL);
            invoice.set("issuer", object! { "type": "self" });
            invoice.set("latest_revision", NULL);
            invoice.set("rendering", NULL);
            invoice.set("shipping_cost", NULL);
            invoice.set("shipping_details", NULL);
        }
        if version >= ApiVersion::Dahlia {
            invoice.set("customer_account", NULL);
        }
    }

    /// Renders one of its lines.
    pub(crate) fn render_line(&self, line: &Line, version: ApiVersion) -> Object {
        let context = LineContext {
            invoice: &self.id,
            subscription: &self.subscription,
            livemode: self.home.livemode,
        };
        line.render(&context, version)
    }

    /// Renders the announcement of an invoice that does not exist yet. Its id is null, or absent since Basil.
    pub(crate) fn render_upcoming(&self, version: ApiVersion) -> Object {
        let mut upcoming = self.render(version);
        if version < ApiVersion::Basil {
            upcoming.set("id", NULL);
        } else {
            upcoming.remove("id");
        }
        upcoming
    }
}

impl Render for Invoice {
    fn render(&self, version: ApiVersion) -> Object {
        let lines = self.lines.iter().map(|line| self.render_line(line, version).into()).collect();
        let hosted = self
            .finalized_at
            .map(|_| format!("https://invoice.stripe.com/i/acct_1Q4mSimulated/live_{}", self.id));
        let pdf = hosted.as_ref().map(|page| format!("{page}/pdf?s=ap"));
        let mut invoice = object! {
            "id": &self.id,
            "object": "invoice",
            "account_country": "DE",
            "account_name": "Simulated Ltd",
            "account_tax_ids": NULL,
            "attempt_count": self.attempt_count,
            "attempted": self.attempt_count > 0 || self.status == Status::Paid,
            "auto_advance": self.auto_advance,
            "automatic_tax": automatic_tax(version),
            "billing_reason": self.billing_reason,
            "collection_method": if self.due_date.is_some() { "send_invoice" } else { "charge_automatically" },
            "created": self.created,
            "currency": self.lines[0].price.currency,
            "custom_fields": NULL,
            "default_payment_method": NULL,
            "default_source": NULL,
            "default_tax_rates": NONE,
            "description": NULL,
            "discounts": NONE,
            "due_date": self.due_date,
            "footer": NULL,
            "hosted_invoice_url": hosted,
            "invoice_pdf": pdf,
            "last_finalization_error": NULL,
            "lines": embedded_list(lines, format!("/v1/invoices/{}/lines", self.id)),
            "livemode": self.home.livemode,
            "metadata": Object::EMPTY,
            "next_payment_attempt": self.next_payment_attempt,
            "number": self.number(),
            "on_behalf_of": NULL,
            "payment_settings": object! {
                "default_mandate": NULL,
                "payment_method_options": NULL,
                "payment_method_types": NULL,
            },
            "period_end": self.period_end,
            "period_start": self.period_start,
            "receipt_number": NULL,
            "statement_descriptor": NULL,
            "status": self.status.as_str(),
            "status_transitions": object! {
                "finalized_at": self.finalized_at,
                "marked_uncollectible_at": self.marked_uncollectible_at,
                "paid_at": self.paid_at,
                "voided_at": self.voided_at,
            },
            "test_clock": &self.home.test_clock,
            "webhooks_delivered_at": self.finalized_at,
        };
        self.customer_fields(&mut invoice);
        self.amount_fields(&mut invoice, version);
        self.link_fields(&mut invoice, version);
        self.version_fields(&mut invoice, version);
        if version < ApiVersion::V2020 {
            old::invoice(&mut invoice, version);
            let is_uncollectible = self.status == Status::Uncollectible;
            let is_closed = is_uncollectible || matches!(self.status, Status::Paid | Status::Void);
            invoice.set("closed", is_closed);
            invoice.set("forgiven", is_uncollectible);
        }
        invoice
    }
}
