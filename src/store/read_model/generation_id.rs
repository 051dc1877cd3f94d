//! Number of a generation.

/// Number of a generation. A number is never reused.
pub type GenerationId = i64;
