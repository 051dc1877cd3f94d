//! Catalogue of an account and mode: products and prices, which exist before the first customer.

use super::dice::Dice;
use super::kept::CatalogueObjects;
use super::life::Life;
use super::objects::event::SimulatedEvent;
use super::objects::price::{
    CLASSIC, MODULES, OLD_TEAM, OLD_TEAM_RENAMED, PRODUCTS, Price, TEAM, every_price,
};
use super::objects::product::{Offer, Product};
use super::recorder::{Act, Endpoint, Recorder, Tracked};
use super::truth::catalogue::TrueName;
use super::version::{ApiVersion, Versions};
use super::{MAX_MONTHS, Plan};
use crate::time::StripeTime;

const DAY: i64 = 86_400;

/// Catalogue of one account and mode.
struct Shop {
    recorder: Recorder,
    products: Vec<Tracked<Product>>,
    prices: Vec<Tracked<Offer>>,
    /// True once the classic plan was deleted.
    classic_is_deleted: bool,
}

/// Events of the catalogue of one account and mode. They depend on the plan alone, not on the customers.
pub(super) fn simulate_catalogue(plan: &Plan, account: &str, livemode: bool) -> Life {
    let stream = account
        .bytes()
        .fold(u64::from(livemode), |sum, byte| (sum * 31 + u64::from(byte)) % 1_000_003);
    let mut dice = Dice::new(plan.seed, u64::MAX - 2 - stream);
    let version = match plan.api_version {
        Versions::One(version) => version,
        Versions::Mixed => plan.no_older(*dice.pick(&ApiVersion::MIXED)),
    };
    let endpoint = Endpoint {
        account: account.to_owned(),
        livemode,
        era: plan.era.unwrap_or(version),
        version,
        upgrade: None,
        second: None,
        format: plan.format,
    };
    let StripeTime(start) = plan.start;
    let length = i64::from(plan.months.min(MAX_MONTHS)) * 30 * DAY;
    let mut shop = Shop {
        recorder: Recorder::new(dice, endpoint, (start, start + length), false),
        products: Vec::new(),
        prices: Vec::new(),
        classic_is_deleted: false,
    };
    let modules: &[Price] = if plan.wide_percent > 0 { &MODULES } else { &[] };
    shop.create_products(modules);
    // The end of the simulated time may cut this off.
    let _ = shop.change_names(length);
    let catalogue = shop.names();
    let (events, objects) = shop.into_parts();
    Life { events, catalogue, shop: Some(objects), ..Life::default() }
}

impl Shop {
    fn create_products(&mut self, modules: &'static [Price]) {
        let livemode = self.recorder.endpoint.livemode;
        for (id, name) in PRODUCTS {
            let now = self.recorder.now();
            let product = Product { id, name, created: now, updated: now, livemode };
            let mut product = Tracked::new(product);
            self.recorder.send("product.created", &mut product);
            self.products.push(product);
        }
        for price in every_price().chain(modules) {
            let mut offer = Tracked::new(Offer { price, livemode });
            self.recorder.send("price.created", &mut offer);
            self.send_plan("plan.created", price);
            self.prices.push(offer);
        }
    }

    /// Renames a product and a price, and deletes another product.
    fn change_names(&mut self, length: i64) -> Act {
        let part = self.recorder.dice.between(1, 60);
        self.recorder.wait(length * part / 100 + 1)?;
        self.rename(TEAM.0, "Team Plus");
        self.recorder.wait(DAY)?;
        for offer in &mut self.prices {
            if offer.price.id == OLD_TEAM.id {
                offer.price = &OLD_TEAM_RENAMED;
                self.recorder.send("price.updated", offer);
            }
        }
        self.recorder.wait(length * 15 / 100)?;
        self.rename(CLASSIC.product, "Classic (no longer sold)");
        self.recorder.wait(DAY)?;
        // Stripe deletes a product after its plans. Its subscriptions go on.
        self.send_plan("plan.deleted", &CLASSIC);
        self.classic_is_deleted = true;
        if let Some(classic) = self.products.iter_mut().find(|it| it.id == CLASSIC.product) {
            self.recorder.send("product.deleted", classic);
        }
        Act::Continue(())
    }

    fn rename(&mut self, id: &str, name: &'static str) {
        let now = self.recorder.now();
        if let Some(product) = self.products.iter_mut().find(|product| product.id == id) {
            product.name = name;
            product.updated = now;
            self.recorder.send("product.updated", product);
        }
    }

    fn send_plan(&mut self, event_type: &'static str, price: &'static Price) {
        let Endpoint { version, livemode, .. } = self.recorder.endpoint;
        self.recorder.send_once(event_type, price.render_plan(version, livemode));
    }

    fn into_parts(self) -> (Vec<SimulatedEvent>, CatalogueObjects) {
        let Endpoint { account, livemode, .. } = self.recorder.endpoint;
        let deleted = self.classic_is_deleted;
        let mut products: Vec<_> =
            self.products.into_iter().filter_map(Tracked::into_sent).collect();
        products.retain(|product| !(deleted && product.id == CLASSIC.product));
        let mut prices: Vec<_> = self.prices.into_iter().filter_map(Tracked::into_sent).collect();
        prices.retain(|offer| !(deleted && offer.price.id == CLASSIC.id));
        (self.recorder.events, CatalogueObjects { account, livemode, products, prices })
    }

    fn names(&self) -> Vec<TrueName> {
        let Endpoint { account, livemode, .. } = &self.recorder.endpoint;
        let name = |id: &str, name: Option<&str>| TrueName {
            account: account.clone(),
            livemode: *livemode,
            id: id.to_owned(),
            name: name.map(str::to_owned),
        };
        let products = self.products.iter().map(|product| name(product.id, Some(product.name)));
        let prices = self.prices.iter().map(|offer| name(offer.price.id, offer.price.nickname));
        products.chain(prices).collect()
    }
}
