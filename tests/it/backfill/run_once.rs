//! Tests of a backfill that do not depend on the database.
