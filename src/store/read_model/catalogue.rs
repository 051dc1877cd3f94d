//! Names of products and prices in a generation.

use std::collections::BTreeSet;

use super::generation_id::GenerationId;
use super::handle::ReadModel;
use super::tables::{GenerationTables, bind_scope, bulk};
use crate::ids::{AccountId, EventId, Scope};
use crate::projection::catalogue::{Catalogue, CatalogueEntry, NameRank};
use crate::projection::row::SubscriptionRow;
use crate::store::db::Session;
use crate::store::error::StoreError;
use crate::time::StripeTime;

impl ReadModel {
    /// Reads the known names of the products and prices of these rows.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn catalogue<'r>(
        &self,
        generation: GenerationId,
        rows: impl IntoIterator<Item = &'r SubscriptionRow>,
    ) -> Result<Catalogue, StoreError> {
        let wanted: BTreeSet<(Scope, &str)> = rows
            .into_iter()
            .flat_map(|row| {
                let scope = Scope { account: row.account.as_str().into(), livemode: row.livemode };
                let of_items = row.items.0.iter().flat_map(|it| [&it.product_id, &it.price_id]);
                let ids = of_items.chain([&row.product_id, &row.price_id]).flatten();
                ids.map(move |id| (scope.clone(), id.as_str()))
            })
            .collect();
        self.names(generation, &wanted.into_iter().collect::<Vec<_>>()).await
    }

    /// Reads the known names of these products and prices.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn names(
        &self,
        generation: GenerationId,
        wanted: &[(Scope, &str)],
    ) -> Result<Catalogue, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let schema = self.schema_of(&mut session, generation).await?;
        if !schema.has("catalogue") {
            return Ok(Catalogue::default());
        }
        let found = bulk(&mut session, sql::NAMES, schema.tables, wanted, |to, (scope, id)| {
            bind_scope(to, scope);
            to.text(*id);
        });
        let mut catalogue = Catalogue::default();
        for row in &found.await? {
            catalogue.join(CatalogueEntry {
                scope: Scope {
                    account: AccountId::new(row.get::<String, _>(0)?),
                    livemode: row.get(1)?,
                },
                id: row.get(2)?,
                name: row.get(3)?,
                rank: NameRank {
                    deleted: row.get(4)?,
                    created: StripeTime(row.get(5)?),
                    changed: row.get(6)?,
                    event_id: EventId::new(row.get::<String, _>(7)?),
                },
            });
        }
        Ok(catalogue)
    }
}

/// Writes the names of products and prices.
pub(super) async fn write(
    session: &mut Session<'_>,
    tables: GenerationTables,
    entries: &[CatalogueEntry],
) -> Result<(), StoreError> {
    // A statement can change each row only once.
    let mut names = Catalogue::default();
    entries.iter().cloned().for_each(|entry| names.join(entry));
    let names: Vec<_> = names.into_entries().collect();
    bulk(session, sql::CATALOGUE_ENTRY, tables, &names, |to, entry| {
        bind_scope(to, &entry.scope);
        to.text(entry.id.as_str());
        to.text(entry.name.as_deref());
        to.bool(entry.rank.deleted);
        to.integer(entry.rank.created.0);
        to.bool(entry.rank.changed);
        to.text(entry.rank.event_id.as_str());
    })
    .await?;
    Ok(())
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        NAMES [Text, Bool, Text] = sqlite "SELECT c.account, c.livemode, c.id, c.name, c.deleted, c.created, c.changed, c.event_id FROM ({rows}) AS k
            CROSS JOIN catalogue_{l} AS c ON c.account = k.column1 AND c.livemode = k.column2 AND c.id = k.column3",
            postgres "SELECT c.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT account, livemode, id, name, deleted, created, changed, event_id
                FROM catalogue_{l} WHERE account = k.column1 AND livemode = k.column2 AND id = k.column3 OFFSET 0) AS c";
        CATALOGUE_ENTRY [Text, Bool, Text, Text, Bool, Integer, Bool, Text] = "INSERT INTO catalogue_{l} AS c (account, livemode, id, name, deleted, created, changed, event_id)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL
            ON CONFLICT (account, livemode, id) DO UPDATE SET name = excluded.name, deleted = excluded.deleted,
                created = excluded.created, changed = excluded.changed, event_id = excluded.event_id
                WHERE (excluded.deleted, excluded.created, excluded.changed, excluded.event_id) > (c.deleted, c.created, c.changed, c.event_id)";
    }
}
