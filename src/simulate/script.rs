//! What a subscription's life is made of: an opening, then chapter after chapter, until it ends
//! or the simulated time is over. The seed decides which.

use super::acts::Dunning;
use super::objects::price::Interval;
use super::recorder::Act;
use super::stage::Stage;
use super::version::ApiVersion;

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

#[derive(Clone, Copy)]
enum Chapter {
    Renews,
    PaysLate,
    FailsToPay,
    ChangesPlan,
    ChangesQuantity,
    ChangesTwice,
    WishesForPlan,
    ThinksAgain,
    CancelsLater,
    CancelsNow,
    PausesCollection,
    GetsFreeDays,
    BuysOnce,
    LeapsOverMonths,
    FollowsSchedule,
    Haggles,
    WantsMoneyBack,
    Disputes,
    TakesABreak,
    IsForgiven,
}

/// Openings, by weight.
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

/// Chapters, by weight. Most months nothing happens but the renewal.
const CHAPTERS: &[(u64, Chapter)] = &[
    (50, Chapter::Renews),
    (7, Chapter::PaysLate),
    (3, Chapter::FailsToPay),
    (6, Chapter::ChangesPlan),
    (6, Chapter::ChangesQuantity),
    (4, Chapter::ChangesTwice),
    (3, Chapter::WishesForPlan),
    (4, Chapter::ThinksAgain),
    (5, Chapter::CancelsLater),
    (2, Chapter::CancelsNow),
    (4, Chapter::PausesCollection),
    (2, Chapter::GetsFreeDays),
    (2, Chapter::BuysOnce),
    (5, Chapter::FollowsSchedule),
    (5, Chapter::Haggles),
    (2, Chapter::WantsMoneyBack),
    (1, Chapter::Disputes),
    (4, Chapter::TakesABreak),
    (3, Chapter::IsForgiven),
];

/// With a test clock, months are often leapt over at once.
const TEST_CLOCK_CHAPTERS: &[(u64, Chapter)] = &[
    (40, Chapter::LeapsOverMonths),
    (20, Chapter::Renews),
    (15, Chapter::PaysLate),
    (5, Chapter::FailsToPay),
    (10, Chapter::ChangesTwice),
    (5, Chapter::ThinksAgain),
    (5, Chapter::CancelsLater),
    (5, Chapter::FollowsSchedule),
];

impl Opening {
    /// This one, or what came closest to it at the time.
    fn of(self, era: ApiVersion) -> Self {
        match self {
            Self::TrialWithCard | Self::TrialWithoutCard => self,
            Self::ByInvoice if era >= ApiVersion::V2018 => self,
            _ if era >= ApiVersion::V2020 => self,
            _ => Self::Api,
        }
    }
}

impl Chapter {
    /// This one, or a renewal where Stripe did not have it yet.
    fn of(self, era: ApiVersion) -> Self {
        match self {
            Self::WishesForPlan
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

/// Plays a whole life, until the subscription ends or the time does.
pub(super) fn play(stage: &mut Stage) {
    // Every act breaks off in the end; which of the two it was does not matter here.
    let _ = play_on(stage);
    if stage.subscription.status.is_terminal() {
        let _ = stage.look_back();
    }
}

fn play_on(stage: &mut Stage) -> Act {
    if stage.recorder.dice.percent(8) {
        stage.abandon_a_checkout()?;
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
        // Only a checkout can name the user on this road.
        opening = match opening {
            Opening::TrialWithCard | Opening::TrialWithoutCard | Opening::ByReturnedDebit => {
                opening
            }
            _ => Opening::Checkout,
        };
    }
    match opening.of(stage.era()) {
        Opening::Checkout => stage.open_at_checkout(),
        Opening::ByInvoice if pays_by_transfer(stage) => stage.open_by_invoice(),
        Opening::Api | Opening::ByInvoice => stage.open_by_api(),
        Opening::Authenticated | Opening::Expires if stage.subscription.items[0].price.metered => {
            // Nothing is owed at first, so nothing can fail.
            stage.open_by_api()
        }
        Opening::Authenticated => stage.open_with_authentication(true),
        Opening::Expires => stage.open_with_authentication(false),
        Opening::ByReturnedDebit => stage.open_with_a_returned_debit(),
        Opening::BySchedule => stage.open_by_schedule(),
        Opening::TrialWithCard => {
            // A trial of three days or less is announced to end as soon as it has begun.
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
    match chapter.of(stage.era()) {
        Chapter::Renews => stage.renew(),
        Chapter::PaysLate => stage.renew_badly(Dunning::Pays),
        Chapter::FailsToPay if coin => stage.renew_badly(Dunning::Cancels),
        Chapter::FailsToPay => {
            let outcome = *stage.recorder.dice.pick(&[Dunning::Lapses, Dunning::Pauses]);
            stage.renew_badly(outcome)
        }
        Chapter::ChangesPlan => stage.change_plan(),
        Chapter::ChangesQuantity => stage.change_quantity(),
        Chapter::ChangesTwice => stage.change_twice(),
        Chapter::WishesForPlan => stage.wish_for_a_plan(coin),
        Chapter::ThinksAgain => stage.cancel_later(true),
        Chapter::CancelsLater => stage.cancel_later(false),
        Chapter::CancelsNow => stage.cancel_now(),
        Chapter::PausesCollection => stage.pause_collection(),
        Chapter::GetsFreeDays => stage.give_free_days(),
        Chapter::FollowsSchedule => stage.plan_ahead(),
        Chapter::TakesABreak => stage.take_a_break(),
        Chapter::IsForgiven => stage.renew_badly(Dunning::IsForgiven),
        Chapter::Haggles => stage.redeem_or_lose_a_coupon(),
        // Both go on for days, which should not reach into the next period.
        Chapter::WantsMoneyBack | Chapter::Disputes if days_left(stage) < 12 => stage.renew(),
        Chapter::WantsMoneyBack => stage.refund(),
        Chapter::Disputes => stage.dispute_a_charge(),
        Chapter::BuysOnce => stage.buy_once(),
        Chapter::LeapsOverMonths => {
            let months = stage.recorder.dice.between(2, 4);
            stage.leap_over_months(months)
        }
    }
}

/// Until the next period begins.
fn days_left(stage: &Stage) -> i64 {
    (stage.subscription.next_period_end() - stage.recorder.now()) / 86_400
}

/// Two weeks to pay are too long for a weekly price.
fn pays_by_transfer(stage: &Stage) -> bool {
    stage.subscription.items.iter().all(|item| item.price.interval != Interval::Week)
}
