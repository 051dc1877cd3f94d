//! Triggers of a database against those that its migrations make.
//!
//! The migrations are the only list. SQLite runs them on an empty database in memory, and both schemas are
//! compared. PostgreSQL writes a condition in other words than it was given, so the statements that make the
//! triggers run once more, on temporary tables that are like the real ones, and the definitions are compared; all
//! of that is rolled back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Inspection;
use super::migration_objects::{MigrationObjects, Trigger};
use crate::store::StoreError;
use crate::store::db::{self, Database, Dialect, Session};

/// Triggers that belong in a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExpectedTriggers {
    /// Those that the migrations of the log make.
    OfLog,
    /// No trigger at all.
    None,
}

/// The definitions of each trigger that are right. A definition is written differently after a restore from a
/// dump, with fewer brackets.
type Definitions = BTreeMap<Trigger, BTreeSet<String>>;

/// A trigger as a database has it.
struct InstalledTrigger {
    trigger: Trigger,
    definition: String,
    is_enabled: bool,
}

/// Compares the triggers of a database with those that belong there.
pub(super) async fn check(
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
            inspection.find(format!("{what}: the trigger {name} on {table} is missing"));
        }
    }
    for InstalledTrigger { trigger, definition, is_enabled } in found {
        let (table, name) = &trigger;
        let is = match expected.get(&trigger) {
            None => "is foreign: no migration makes it",
            Some(_) if !is_enabled => "is switched off",
            // Without a definition there is nothing to compare, as a note says.
            Some(right) if right.is_empty() || right.contains(&definition) => continue,
            Some(_) => "is not the one that the migrations make",
        };
        inspection.find(format!("{what}: the trigger {name} on {table} {is}"));
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

/// The triggers of a file that the migrations have just made.
async fn expected_in_sqlite() -> Result<Definitions, StoreError> {
    let memory = Path::new(":memory:");
    let mut connection = db::connect(memory, db::options(memory)).await?;
    let mut session = Session::Sqlite(&mut connection);
    db::migrate(&mut session).await?;
    let made = installed_triggers(&mut session).await?;
    Ok(made.into_iter().map(|it| (it.trigger, BTreeSet::from([it.definition]))).collect())
}

/// The triggers that the scripts of PostgreSQL make, and the functions that these call.
async fn expected_in_postgres(
    db: &Database,
    inspection: &mut Inspection,
) -> Result<Definitions, StoreError> {
    let expected = MigrationObjects::from_scripts(db::scripts(Dialect::Postgres));
    let mut reader = db.read().await?;
    let mut session = reader.session();
    for row in &session.query(sql::FUNCTIONS).fetch_all().await? {
        let (name, body, language): (String, &str, &str) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let right = expected.functions.get(&name);
        if right.is_some_and(|right| (body, language) != (right.as_str(), "plpgsql")) {
            inspection.find(format!("the function {name} is not the one that the migrations make"));
        }
    }
    let can_create_temporary =
        session.query(sql::CAN_CREATE_TEMPORARY).fetch_one().await?.get(0)?;
    drop(reader);
    if can_create_temporary {
        return define_temporarily(db, &expected).await;
    }
    inspection.note(
        "this role may not make temporary tables here: the triggers were compared by name, and their \
         conditions were not"
            .to_owned(),
    );
    Ok(expected.triggers.into_keys().map(|it| (it, BTreeSet::new())).collect())
}

/// The definitions as this server writes them, of triggers that are made now and of triggers that come from a dump.
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
    // From a dump come the definitions that the server wrote itself.
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

/// A rule of PostgreSQL can turn a statement into nothing, as a trigger can. None belongs to a table.
async fn check_rules(
    db: &Database,
    what: &str,
    inspection: &mut Inspection,
) -> Result<(), StoreError> {
    let mut reader = db.read().await?;
    for row in &reader.session().query(sql::RULES).fetch_all().await? {
        let (table, name): (&str, &str) = (row.get(0)?, row.get(1)?);
        inspection
            .find(format!("{what}: the rule {name} on {table} is foreign: no migration makes it"));
    }
    Ok(())
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        /// Table, name and definition of each trigger, and whether it is on.
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
        /// Temporary tables come before all others where a name has no schema; functions never do.
        LIKE = postgres "CREATE TEMPORARY TABLE {table} (LIKE subledger.{table})";
        /// Table, name and definition of each trigger of a temporary table; once more as that of the real table.
        TEMPORARY = postgres "SELECT c.relname::text, t.tgname::text, pg_get_triggerdef(t.oid),
                replace(replace(pg_get_triggerdef(t.oid), format(' ON %I.', n.nspname), ' ON pg_temp.'),
                    ' ON pg_temp.', format(' ON %I.', current_schema()))
            FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.oid = pg_my_temp_schema() AND NOT t.tgisinternal ORDER BY 1, 2";
        DROP = postgres "DROP TRIGGER {trigger} ON pg_temp.{table}";
    }
}
