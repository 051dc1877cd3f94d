//! The fold.
pub mod column;
pub mod row;
