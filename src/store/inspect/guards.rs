//! Comparison of the triggers of a database with those of its migrations.
//!
//! The migrations are the only list of expected triggers. For SQLite they run on an empty database in memory, and the
//! definitions are compared. PostgreSQL rewrites the condition of a trigger, so that the statements that create the
//! triggers run again on temporary tables of the same columns, and those definitions are compared. All of it is rolled
//! back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::inspection::Inspection;
use super::migration_objects::{MigrationObjects, Trigger};
use crate::store::db::{self, Database, Dialect, Session};
use crate::store::error::StoreError;

/// Triggers that a database must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum ExpectedTriggers {
    /// Triggers of the migrations of the log.
    OfLog,
    /// No triggers.
    None,
}

/// Valid definitions of each trigger. After a restore from a dump PostgreSQL writes a definition with fewer brackets.
type Definitions = BTreeMap<Trigger, BTreeSet<String>>;

/// Trigger of a database.
struct InstalledTrigger {
    trigger: Trigger,
    definition: String,
    is_enabled: bool,
}

/// Compares the triggers of a database with the expected ones. `what` names the database in messages.
pub(in crate::store) async fn check(
    db: &Database,
    what: &str,
    guards: ExpectedTriggers,
    inspection: &mut Inspection,
) -> Result<(), StoreError> {
    let mut reader = db.read().await?;
    let found = installed_triggers(&mut reader.session()).await?;
    drop(reader);
    let expected = match (guards, db.dialect()) {
        (ExpectedTriggers::None, _) => Definitions::new(),
        (ExpectedTriggers::OfLog, Dialect::Sqlite) => expected_in_sqlite().await?,
        (ExpectedTriggers::OfLog, Dialect::Postgres) => {
            expected_in_postgres(db, inspection).await?
        }
    };
    for (table, name) in expected.keys() {
        if !found.iter().any(|it| (&it.trigger.0, &it.trigger.1) == (table, name)) {
            inspection.add_finding(format!("{what}: the trigger {name} on {table} is missing"));
        }
    }
    for InstalledTrigger { trigger, definition, is_enabled } in found {
        let (table, name) = &trigger;
        let is = match expected.get(&trigger) {
            None => "is foreign: no migration creates it",
            Some(_) if !is_enabled => "is disabled",
            // Without a definition only the name is compared, which a note reports.
            Some(valid) if valid.is_empty() || valid.contains(&definition) => continue,
            Some(_) => "is not the one that the migrations create",
        };
        inspection.add_finding(format!("{what}: the trigger {name} on {table} {is}"));
    }
    if db.dialect() == Dialect::Postgres {
        check_rules(db, what, inspection).await?;
    }
    Ok(())
}

async fn installed_triggers(
    session: &mut Session<'_>,
) -> Result<Vec<InstalledTrigger>, StoreError> {
    let rows = session.query(sql::TRIGGERS).fetch_all().await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.push(InstalledTrigger {
            trigger: (row.get(0)?, row.get(1)?),
            definition: row.get(2)?,
            is_enabled: row.get(3)?,
        });
    }
    Ok(found)
}

/// Triggers of a new file after all migrations.
async fn expected_in_sqlite() -> Result<Definitions, StoreError> {
    let memory = Path::new(":memory:");
    let mut connection = db::connect(memory, db::options(memory)).await?;
    let mut session = Session::Sqlite(&mut connection);
    db::migrate(&mut session).await?;
    let made = installed_triggers(&mut session).await?;
    Ok(made.into_iter().map(|it| (it.trigger, BTreeSet::from([it.definition]))).collect())
}

/// Triggers of the migrations of PostgreSQL. Also checks the functions that these call.
async fn expected_in_postgres(
    db: &Database,
    inspection: &mut Inspection,
) -> Result<Definitions, StoreError> {
    let expected = MigrationObjects::from_scripts(db::scripts(Dialect::Postgres));
    let mut reader = db.read().await?;
    let mut session = reader.session();
    for row in &session.query(sql::FUNCTIONS).fetch_all().await? {
        let (name, body, language): (String, &str, &str) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let function = expected.functions.get(&name);
        if function.is_some_and(|it| (body, language) != (it.as_str(), "plpgsql")) {
            inspection.add_finding(format!(
                "the function {name} is not the one that the migrations create"
            ));
        }
    }
    let can_create_temporary =
        session.query(sql::CAN_CREATE_TEMPORARY).fetch_one().await?.get(0)?;
    drop(reader);
    if can_create_temporary {
        return define_temporarily(db, &expected).await;
    }
    inspection.add_note(
        "this role may not create temporary tables: the triggers were compared by name only, not by condition"
            .to_owned(),
    );
    Ok(expected.triggers.into_keys().map(|it| (it, BTreeSet::new())).collect())
}

/// Definitions as this server writes them, for triggers that are created now and for triggers that come from a dump.
async fn define_temporarily(
    db: &Database,
    expected: &MigrationObjects,
) -> Result<Definitions, StoreError> {
    let mut definitions = Definitions::new();
    let mut write = db.write().await?;
    let mut session = write.session();
    let tables: BTreeSet<&String> = expected.triggers.keys().map(|(table, _)| table).collect();
    for table in tables {
        let like = session.text(sql::LIKE).replace("{table}", table);
        session.run(like).await?;
    }
    let mut statements: Vec<String> = expected.triggers.values().cloned().collect();
    // A dump has the definitions as the server wrote them.
    for _ in ["migrated", "restored"] {
        for statement in std::mem::take(&mut statements) {
            session.run(statement).await?;
        }
        for row in &session.query(sql::TEMPORARY).fetch_all().await? {
            let (table, name): (String, String) = (row.get(0)?, row.get(1)?);
            let (written, of_schema): (String, String) = (row.get(2)?, row.get(3)?);
            let drop = session.text(sql::DROP);
            session.run(drop.replace("{trigger}", &name).replace("{table}", &table)).await?;
            definitions.entry((table, name)).or_default().insert(of_schema);
            statements.push(written);
        }
    }
    write.rollback().await?;
    Ok(definitions)
}

/// Checks that no table has a rule: a rule of PostgreSQL can suppress a statement, as a trigger can.
async fn check_rules(
    db: &Database,
    what: &str,
    inspection: &mut Inspection,
) -> Result<(), StoreError> {
    let mut reader = db.read().await?;
    for row in &reader.session().query(sql::RULES).fetch_all().await? {
        let (table, name): (&str, &str) = (row.get(0)?, row.get(1)?);
        inspection.add_finding(format!(
            "{what}: the rule {name} on {table} is foreign: no migration creates it"
        ));
    }
    Ok(())
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        /// Table, name and definition of each trigger, and whether it is enabled.
        TRIGGERS = sqlite "SELECT tbl_name, name, sql, TRUE FROM sqlite_schema WHERE type = 'trigger' ORDER BY tbl_name, name",
            postgres "SELECT c.relname::text, t.tgname::text, pg_get_triggerdef(t.oid), t.tgenabled IN ('O', 'A')
                FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
                WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal ORDER BY 1, 2";
        FUNCTIONS = postgres "SELECT p.proname::text, p.prosrc, l.lanname::text FROM pg_proc AS p
            JOIN pg_language AS l ON l.oid = p.prolang WHERE p.pronamespace = current_schema()::regnamespace ORDER BY 1";
        RULES = postgres "SELECT c.relname::text, r.rulename::text FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
            WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1, 2";
        CAN_CREATE_TEMPORARY = postgres "SELECT has_database_privilege(current_database(), 'TEMPORARY') AND NOT pg_is_in_recovery()
            AND NOT current_setting('default_transaction_read_only')::boolean";
        /// A name without a schema finds temporary tables first, but never temporary functions.
        LIKE = postgres "CREATE TEMPORARY TABLE {table} (LIKE subledger.{table})";
        /// Table, name and definition of each trigger of a temporary table, and its definition on the real table.
        TEMPORARY = postgres "SELECT c.relname::text, t.tgname::text, pg_get_triggerdef(t.oid),
                replace(replace(pg_get_triggerdef(t.oid), format(' ON %I.', n.nspname), ' ON pg_temp.'),
                    ' ON pg_temp.', format(' ON %I.', current_schema()))
            FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.oid = pg_my_temp_schema() AND NOT t.tgisinternal ORDER BY 1, 2";
        DROP = postgres "DROP TRIGGER {trigger} ON pg_temp.{table}";
    }
}
