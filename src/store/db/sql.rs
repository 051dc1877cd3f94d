//! Statements of transactions.

crate::store::db::statement::statements! {
    BEGIN = sqlite "BEGIN IMMEDIATE", postgres "BEGIN";
    COMMIT = "COMMIT";
    ROLLBACK = "ROLLBACK";
    BEGIN_READ = sqlite "BEGIN", postgres "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    NO_STATEMENT_TIMEOUT = postgres "SET LOCAL statement_timeout = 0";
}
