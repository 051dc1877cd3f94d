//! Script of a subscription: an opening, then random chapters, until the subscription or the simulated time ends.

use super::acts::Dunning;
use super::objects::price::Interval;
use super::recorder::Act;
use super::stage::Stage;
use super::version::ApiVersion;

/// Start of a subscription.
#[derive(Clone, Copy)]
enum Opening {
    Checkout,
    Api,
    ByInvoice,
    Authenticated,
    Expires,
    TrialWithCard,
    TrialWithoutCard,
    BySchedule,
    ByReturnedDebit,
}

/// Later part of a life, mostly a billing period.
#[derive(Clone, Copy)]
enum Chapter {
    Renews,
    PaysLate,
    FailsToPay,
    ChangesPlan,
    ChangesQuantity,
    ChangesTwice,
    RequestsPlan,
    RevokesCancellation,
    CancelsLater,
    CancelsNow,
    PausesCollection,
    GetsFreeTrial,
    BuysOnce,
    SkipsMonths,
    FollowsSchedule,
    UsesCoupon,
    IsRefunded,
    Disputes,
    PausesService,
    WritesOff,
}

/// Openings with their weights.
const OPENINGS: &[(u64, Opening)] = &[
    (46, Opening::Checkout),
    (12, Opening::Api),
    (6, Opening::ByInvoice),
    (6, Opening::Authenticated),
    (7, Opening::Expires),
    (15, Opening::TrialWithCard),
    (12, Opening::TrialWithoutCard),
    (3, Opening::BySchedule),
    (3, Opening::ByReturnedDebit),
];

/// Chapters with their weights. In most months there is only the renewal.
const CHAPTERS: &[(u64, Chapter)] = &[
    (50, Chapter::Renews),
    (7, Chapter::PaysLate),
    (3, Chapter::FailsToPay),
    (6, Chapter::ChangesPlan),
    (6, Chapter::ChangesQuantity),
    (4, Chapter::ChangesTwice),
    (3, Chapter::RequestsPlan),
    (4, Chapter::RevokesCancellation),
    (5, Chapter::CancelsLater),
    (2, Chapter::CancelsNow),
    (4, Chapter::PausesCollection),
    (2, Chapter::GetsFreeTrial),
    (2, Chapter::BuysOnce),
    (5, Chapter::FollowsSchedule),
    (5, Chapter::UsesCoupon),
    (2, Chapter::IsRefunded),
    (1, Chapter::Disputes),
    (4, Chapter::PausesService),
    (3, Chapter::WritesOff),
];

/// Chapters with their weights under a test clock, which often skips several months at once.
const TEST_CLOCK_CHAPTERS: &[(u64, Chapter)] = &[
    (40, Chapter::SkipsMonths),
    (20, Chapter::Renews),
    (15, Chapter::PaysLate),
    (5, Chapter::FailsToPay),
    (10, Chapter::ChangesTwice),
    (5, Chapter::RevokesCancellation),
    (5, Chapter::CancelsLater),
    (5, Chapter::FollowsSchedule),
];

impl Opening {
    /// This opening, or the closest one that Stripe had at the time.
    fn available_in(self, era: ApiVersion) -> Self {
        match self {
            Self::TrialWithCard | Self::TrialWithoutCard => self,
            Self::ByInvoice if era >= ApiVersion::V2018 => self,
            _ if era >= ApiVersion::V2020 => self,
            _ => Self::Api,
        }
    }
}

impl Chapter {
    /// This chapter, or a renewal if Stripe did not have it at the time.
    fn available_in(self, era: ApiVersion) -> Self {
        match self {
            Self::RequestsPlan
            | Self::PausesCollection
            | Self::BuysOnce
            | Self::FollowsSchedule
                if era < ApiVersion::V2020 =>
            {
                Self::Renews
            }
            _ => self,
        }
    }
}

/// Plays a whole life, until the subscription or the simulated time ends.
pub(super) fn play(stage: &mut Stage) {
    // Every script breaks off. The reason does not matter here.
    let _ = play_chapters(stage);
    if stage.subscription.status.is_terminal() {
        let _ = stage.return_money_after_end();
    }
}

fn play_chapters(stage: &mut Stage) -> Act {
    if stage.recorder.dice.percent(8) {
        stage.abandon_checkout()?;
    }
    open(stage)?;
    loop {
        let chapters = if stage.recorder.has_test_clock() { TEST_CLOCK_CHAPTERS } else { CHAPTERS };
        let chapter = stage.recorder.dice.weighted(chapters);
        play_chapter(stage, chapter)?;
    }
}

fn open(stage: &mut Stage) -> Act {
    let mut opening = stage.recorder.dice.weighted(OPENINGS);
    if stage.naming.client_reference || stage.naming.session_metadata {
        // These sources of the user id need a checkout.
        opening = match opening {
            Opening::TrialWithCard | Opening::TrialWithoutCard | Opening::ByReturnedDebit => {
                opening
            }
            _ => Opening::Checkout,
        };
    }
    match opening.available_in(stage.era()) {
        Opening::Checkout => stage.open_at_checkout(),
        Opening::ByInvoice if pays_by_transfer(stage) => stage.open_by_invoice(),
        Opening::Api | Opening::ByInvoice => stage.open_by_api(),
        Opening::Authenticated | Opening::Expires if stage.subscription.items[0].price.metered => {
            // The first invoice is zero, so its payment cannot fail.
            stage.open_by_api()
        }
        Opening::Authenticated => stage.open_with_authentication(true),
        Opening::Expires => stage.open_with_authentication(false),
        Opening::ByReturnedDebit => stage.open_with_a_returned_debit(),
        Opening::BySchedule => stage.open_by_schedule(),
        Opening::TrialWithCard => {
            // The end of a trial of three days or less is announced as soon as it begins.
            let days = *stage.recorder.dice.pick(&[2, 7, 14, 30]);
            stage.open_with_trial(days, true)?;
            stage.finish_trial()
        }
        Opening::TrialWithoutCard => {
            let days = *stage.recorder.dice.pick(&[3, 7, 14]);
            stage.open_with_trial(days, false)?;
            stage.finish_trial()
        }
    }
}

fn play_chapter(stage: &mut Stage, chapter: Chapter) -> Act {
    let coin = stage.recorder.dice.percent(50);
    match chapter.available_in(stage.era()) {
        Chapter::Renews => stage.renew(),
        Chapter::PaysLate => stage.renew_with_failed_payment(Dunning::Pays),
        Chapter::FailsToPay if coin => stage.renew_with_failed_payment(Dunning::Cancels),
        Chapter::FailsToPay => {
            let outcome = *stage.recorder.dice.pick(&[Dunning::BecomesUnpaid, Dunning::Pauses]);
            stage.renew_with_failed_payment(outcome)
        }
        Chapter::ChangesPlan => stage.change_plan(),
        Chapter::ChangesQuantity => stage.change_quantity(),
        Chapter::ChangesTwice => stage.change_twice(),
        Chapter::RequestsPlan => stage.request_plan(coin),
        Chapter::RevokesCancellation => stage.cancel_later(true),
        Chapter::CancelsLater => stage.cancel_later(false),
        Chapter::CancelsNow => stage.cancel_now(),
        Chapter::PausesCollection => stage.pause_collection(),
        Chapter::GetsFreeTrial => stage.give_free_trial(),
        Chapter::FollowsSchedule => stage.schedule_changes(),
        Chapter::PausesService => stage.pause_service(),
        Chapter::WritesOff => stage.renew_with_failed_payment(Dunning::WritesOff),
        Chapter::UsesCoupon => stage.redeem_or_lose_coupon(),
        // Both take days, and should not reach into the next period.
        Chapter::IsRefunded | Chapter::Disputes if days_left(stage) < 12 => stage.renew(),
        Chapter::IsRefunded => stage.refund(),
        Chapter::Disputes => stage.dispute_charge(),
        Chapter::BuysOnce => stage.buy_once(),
        Chapter::SkipsMonths => {
            let months = stage.recorder.dice.between(2, 4);
            stage.skip_months(months)
        }
    }
}

/// Days until the next period begins.
fn days_left(stage: &Stage) -> i64 {
    (stage.subscription.next_period_end() - stage.recorder.now()) / 86_400
}

/// True if bank transfers are possible: two weeks to pay are too long for a weekly price.
fn pays_by_transfer(stage: &Stage) -> bool {
    stage.subscription.items.iter().all(|item| item.price.interval != Interval::Week)
}
