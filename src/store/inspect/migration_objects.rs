//! Triggers and functions of the migrations of PostgreSQL, read from their scripts.

use std::collections::BTreeMap;

use super::script;

/// Table and name of a trigger.
pub(super) type Trigger = (String, String);

/// Triggers and functions after all scripts.
#[derive(Debug, Default)]
pub(super) struct MigrationObjects {
    /// Statements that create the triggers.
    pub(super) triggers: BTreeMap<Trigger, String>,
    /// Bodies of the functions.
    pub(super) functions: BTreeMap<String, String>,
}

impl MigrationObjects {
    /// Reads the scripts in order.
    pub(super) fn from_scripts<'s>(scripts: impl Iterator<Item = &'s str>) -> Self {
        let mut expected = Self::default();
        for statement in scripts.flat_map(script::statements) {
            expected.read(&statement);
        }
        expected
    }

    fn read(&mut self, statement: &str) {
        let words: Vec<&str> = statement.split_whitespace().collect();
        let table_of = |words: &[&str]| {
            let on = words.iter().position(|it| it.eq_ignore_ascii_case("ON"))?;
            words.get(on + 1).map(|it| (*it).to_owned())
        };
        match words[..] {
            ["CREATE", "TRIGGER", name, ..] | ["CREATE", "OR", "REPLACE", "TRIGGER", name, ..] => {
                if let Some(table) = table_of(&words) {
                    self.triggers.insert((table, name.to_owned()), statement.to_owned());
                }
            }
            ["DROP", "TRIGGER", "IF", "EXISTS", name, ..] | ["DROP", "TRIGGER", name, ..] => {
                if let Some(table) = table_of(&words) {
                    self.triggers.remove(&(table, name.to_owned()));
                }
            }
            ["CREATE", "FUNCTION", name, ..]
            | ["CREATE", "OR", "REPLACE", "FUNCTION", name, ..] => {
                if let (Some(body), Some((name, _))) =
                    (script::body(statement), name.split_once('('))
                {
                    self.functions.insert(name.to_owned(), body.to_owned());
                }
            }
            ["DROP", "FUNCTION", "IF", "EXISTS", name, ..] | ["DROP", "FUNCTION", name, ..] => {
                let name = name.split('(').next().unwrap_or(name);
                self.functions.remove(name);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_script_that_says_something_of_a_trigger_decides() {
        let first = "CREATE FUNCTION f() RETURNS trigger AS $$ one $$;
            CREATE TRIGGER a BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION f();
            CREATE TRIGGER b BEFORE DELETE OR UPDATE OF c ON t EXECUTE FUNCTION f();
            CREATE TRIGGER c BEFORE DELETE ON t EXECUTE FUNCTION f()";
        let second = "DROP TRIGGER a ON t; DROP TRIGGER IF EXISTS nothing ON t;
            CREATE OR REPLACE FUNCTION f() RETURNS trigger AS $$ two $$;
            DROP TRIGGER b ON t; CREATE TRIGGER b BEFORE UPDATE ON t EXECUTE FUNCTION f()";
        let expected = MigrationObjects::from_scripts([first, second].into_iter());
        let b = "CREATE TRIGGER b BEFORE UPDATE ON t EXECUTE FUNCTION f()";
        let c = "CREATE TRIGGER c BEFORE DELETE ON t EXECUTE FUNCTION f()";
        let of = |name: &str| ("t".to_owned(), name.to_owned());
        let triggers = [(of("b"), b.to_owned()), (of("c"), c.to_owned())];
        assert_eq!(expected.triggers, BTreeMap::from(triggers));
        assert_eq!(expected.functions, BTreeMap::from([("f".to_owned(), " two ".to_owned())]));
    }
}
