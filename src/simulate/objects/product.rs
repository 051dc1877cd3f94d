//! Products and prices of the catalogue.

use super::Render;
use super::price::Price;
use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{NONE, NULL, Object, object};

/// Product.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Product {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) created: i64,
    pub(crate) updated: i64,
    pub(crate) livemode: bool,
}

impl Render for Product {
    fn render(&self, version: ApiVersion) -> Object {
        let mut product = object! {
            "id": self.id,
            "object": "product",
            "active": true,
            "attributes": NONE,
            "created": self.created,
            "description": NULL,
            "images": NONE,
            "livemode": self.livemode,
            "metadata": Object::EMPTY,
            "name": self.name,
            "package_dimensions": NULL,
            "shippable": NULL,
            "statement_descriptor": NULL,
            "type": "service",
            "unit_label": NULL,
            "updated": self.updated,
            "url": NULL,
        };
        if version >= ApiVersion::Acacia {
            product.set("default_price", NULL);
            product.set("marketing_features", NONE);
            product.set("tax_code", NULL);
        }
        product
    }
}

/// Price in the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Offer {
    pub(crate) price: &'static Price,
    pub(crate) livemode: bool,
}

impl Render for Offer {
    fn render(&self, version: ApiVersion) -> Object {
        self.price.render_price(version, self.livemode)
    }
}
