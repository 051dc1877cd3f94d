//! Integrity check of a database: SQLite's own check, or the B-tree indexes of PostgreSQL against their tables.
//!
//! PostgreSQL checks an index with the extension amcheck if the role may call it. Otherwise the rows that a scan of
//! each index finds are counted and compared with the rows of the table.

use std::collections::BTreeMap;

use super::inspection::Inspection;
use crate::store::db::{Database, Dialect, Reader, Row};
use crate::store::error::StoreError;

/// Answer of SQLite's check if it found no damage.
const OK: &str = "ok";

/// Index of a table.
#[derive(Debug)]
struct Index {
    table: String,
    name: String,
    /// Quoted name with its schema.
    qualified: String,
    /// Quoted columns in their order.
    columns: String,
    /// True if the index is used and maintained.
    is_enabled: bool,
}

/// Checks a database. `what` names it in messages.
pub(in crate::store) async fn check(
    db: &Database,
    what: &str,
    inspection: &mut Inspection,
) -> Result<(), StoreError> {
    match db.dialect() {
        Dialect::Sqlite => check_file(db, what, inspection).await,
        Dialect::Postgres => check_indexes(db, what, inspection).await,
    }
}

async fn check_file(
    db: &Database,
    what: &str,
    inspection: &mut Inspection,
) -> Result<(), StoreError> {
    let mut reader = db.read().await?;
    match reader.session().query(sql::INTEGRITY).fetch_all().await {
        Ok(rows) => {
            for row in &rows {
                let answer: String = row.get(0)?;
                if answer != OK {
                    inspection.add_finding(format!("the file of {what} is damaged: {answer}"));
                }
            }
        }
        Err(StoreError::Corrupt(why)) => {
            inspection.add_finding(format!("{what} is damaged: {why}"));
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

async fn check_indexes(
    db: &Database,
    what: &str,
    inspection: &mut Inspection,
) -> Result<(), StoreError> {
    let amcheck = amcheck(db).await?;
    let mut tables: BTreeMap<String, Vec<Index>> = BTreeMap::new();
    for index in indexes(db).await? {
        tables.entry(index.table.clone()).or_default().push(index);
    }
    if amcheck.is_none() && !tables.is_empty() {
        inspection.add_note(
            "the extension amcheck is not available to this role: the rows of each index were counted instead"
                .to_owned(),
        );
    }
    for (table, indexes) in tables {
        for index in indexes.iter().filter(|it| !it.is_enabled) {
            inspection.add_finding(format!("{what}: the index {} is disabled", index.name));
        }
        let checked = match &amcheck {
            Some(amcheck) => check_each(db, amcheck, &indexes).await,
            None => count_each(db, &table, &indexes).await,
        };
        match checked {
            Ok(findings) => {
                for finding in findings {
                    inspection.add_finding(format!("{what}: {finding}"));
                }
            }
            // The generation of the table may have been dropped meanwhile.
            Err(_) if self::indexes(db).await?.iter().all(|it| it.table != table) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Schema of amcheck, if this role may call it.
async fn amcheck(db: &Database) -> Result<Option<String>, StoreError> {
    let mut reader = db.read().await?;
    let found = reader.session().query(sql::AMCHECK).fetch_optional().await?;
    found.map(|row| row.get(0)).transpose()
}

async fn indexes(db: &Database) -> Result<Vec<Index>, StoreError> {
    let mut reader = db.read().await?;
    let rows = reader.session().query(sql::INDEXES).fetch_all().await?;
    let read = |row: &Row| {
        Ok(Index {
            table: row.get(0)?,
            name: row.get(1)?,
            qualified: row.get(2)?,
            columns: row.get(3)?,
            is_enabled: row.get(4)?,
        })
    };
    rows.iter().map(read).collect()
}

async fn check_each(
    db: &Database,
    amcheck: &str,
    indexes: &[Index],
) -> Result<Vec<String>, StoreError> {
    let mut findings = Vec::new();
    for index in indexes.iter().filter(|it| it.is_enabled) {
        let mut reader = db.read_transaction().await?;
        reader.session().disable_timeouts().await?;
        let name = index.qualified.replace('\'', "''");
        let statement = reader.session().text(sql::CHECK_INDEX);
        let statement = statement.replace("{amcheck}", amcheck).replace("{index}", &name);
        match reader.session().run(statement).await {
            Ok(()) => reader.end().await?,
            Err(StoreError::Corrupt(_)) => {
                findings.push(format!("the index {} is damaged", index.name));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(findings)
}

async fn count_each(
    db: &Database,
    table: &str,
    indexes: &[Index],
) -> Result<Vec<String>, StoreError> {
    let mut findings = Vec::new();
    let mut reader = db.read_transaction().await?;
    reader.session().disable_timeouts().await?;
    reader.session().run(sql::ALONG_THE_TABLE).await?;
    let all = count(&mut reader, sql::COUNT_TABLE.postgres, table, "").await?;
    reader.session().run(sql::ALONG_AN_INDEX).await?;
    for index in indexes.iter().filter(|it| it.is_enabled) {
        let found = count(&mut reader, sql::COUNT_INDEX.postgres, table, &index.columns).await?;
        if found != all {
            let name = &index.name;
            findings
                .push(format!("the index {name} is damaged: it leads to {found} of {all} rows"));
        }
    }
    reader.end().await?;
    Ok(findings)
}

async fn count(
    reader: &mut Reader,
    template: &str,
    table: &str,
    columns: &str,
) -> Result<i64, StoreError> {
    let statement = fill(template, table, columns);
    reader.session().query(statement).fetch_one().await?.get(0)
}

/// Fills in the table and columns of a template that counts rows.
pub(in crate::store) fn fill(template: &str, table: &str, columns: &str) -> String {
    template.replace("{table}", table).replace("{columns}", columns)
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        INTEGRITY = sqlite "PRAGMA integrity_check";
        AMCHECK = postgres "SELECT quote_ident(n.nspname) FROM pg_extension AS e
            JOIN pg_namespace AS n ON n.oid = e.extnamespace
            JOIN pg_proc AS p ON p.pronamespace = n.oid AND p.proname = 'bt_index_check' AND p.pronargs = 2
            WHERE e.extname = 'amcheck' AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')";
        /// B-tree indexes over plain columns in the current schema.
        INDEXES = postgres "SELECT quote_ident(t.relname), c.relname::text, format('%I.%I', s.nspname, c.relname),
                (SELECT string_agg(pg_get_indexdef(i.indexrelid, k::int, TRUE), ', ' ORDER BY k)
                    FROM generate_series(1, i.indnkeyatts) AS k),
                i.indisvalid AND i.indisready AND i.indislive
            FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_class AS t ON t.oid = i.indrelid
                JOIN pg_namespace AS s ON s.oid = t.relnamespace JOIN pg_am AS a ON a.oid = c.relam
            WHERE s.nspname = current_schema() AND a.amname = 'btree' AND t.relkind = 'r'
                AND i.indpred IS NULL AND i.indexprs IS NULL
            ORDER BY 1, 2";
        /// Checks that every row of the table is in the index. An error means that the index is damaged.
        CHECK_INDEX = postgres "SELECT {amcheck}.bt_index_check('{index}'::regclass, TRUE)";
        ALONG_THE_TABLE = postgres "SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off;
            SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_bitmapscan = off";
        ALONG_AN_INDEX = postgres "SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = on; SET LOCAL enable_indexonlyscan = on;
            SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off";
        COUNT_TABLE = postgres "SELECT count(*) FROM {table}";
        /// Counts in the order of the index, which only a scan of the index gives without a sort.
        COUNT_INDEX = postgres "SELECT count(*) FROM (SELECT FROM {table} ORDER BY {columns} OFFSET 0) AS along";
    }
}
