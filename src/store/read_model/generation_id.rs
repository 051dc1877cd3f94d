//! Numbers of generations and of fold layers.

/// Number of a generation. A number is never reused.
pub type GenerationId = i64;

/// Number of a fold layer: that of the generation that it was begun with.
pub type LayerId = GenerationId;
