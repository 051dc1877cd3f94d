//! How statements are written down: each once, by name, as a constant.
//!
//! A statement may be a template: `{rows}` stands for as many rows of parameters as are bound at
//! once, `{g}` for the number of a generation.

/// Declares SQL statements as constants, and a `CATALOGUE` of them all for the test that prepares
/// each on a migrated database.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$doc])* pub(in crate::store) const $name: &str = $sql;)+

        /// Every statement with its name.
        #[cfg(test)]
        pub(in crate::store) const CATALOGUE: &[(&str, &str)] = &[$((stringify!($name), $name),)+];
    };
}
pub(in crate::store) use statements;

/// The statement with room for so many rows of so many columns. Parameters that are not bound are
/// NULL; the template must take a row without its first column for none.
pub(in crate::store) fn with_rows(template: &str, columns: usize, rows: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    template.replace("{rows}", &vec![row; rows].join(", "))
}
