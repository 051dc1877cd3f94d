//! How statements are declared: each once, by name, in a catalogue that a test prepares.

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
