//! Joined bodies of a chunk, and the limit of its size.

use crate::ids::Position;
use crate::store::db::Session;
use crate::store::error::StoreError;

/// Maximum number of bytes of bodies in a chunk, unless a single body is larger.
pub(super) const BYTES_MAX: i64 = 8 << 20;

/// Finds the end of a chunk that is not too large.
pub(super) async fn chunk_end(
    session: &mut Session<'_>,
    after: Position,
    up_to: Position,
) -> Result<Position, StoreError> {
    let mut count = up_to.0 - after.0;
    while count > 1 {
        let query = session.query(sql::BYTES).bind(after.0).bind(after.0 + count);
        if query.fetch_one().await?.get::<i64, _>(0)? <= BYTES_MAX {
            break;
        }
        count /= 2;
    }
    Ok(after.plus(count))
}

/// Concatenated bodies that are not read yet.
pub(super) struct Bodies<'a>(pub(super) &'a str);

impl<'a> Bodies<'a> {
    /// Takes the next body of this length. None if it was erased.
    pub(super) fn next(&mut self, bytes: Option<usize>) -> Result<Option<&'a str>, StoreError> {
        let Some(bytes) = bytes else { return Ok(None) };
        let (body, others) = self.0.split_at_checked(bytes).ok_or_else(corrupt)?;
        self.0 = others;
        Ok(Some(body))
    }
}

pub(super) fn corrupt() -> StoreError {
    StoreError::Corrupt("a chunk of the log cannot be read".to_owned())
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        BYTES = "SELECT coalesce(sum(octet_length(payload)), 0) FROM events WHERE position > $1 AND position <= $2";
    }
}
