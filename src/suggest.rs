//! Suggestion of a known word for a mistyped one.

/// Least similarity of a suggested word; equal words have 1.
const SIMILARITY_MIN: f64 = 0.7;

/// Finds the known word most similar to this one, if any is similar.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let known = known.into_iter().map(|it| (strsim::jaro(word, it), it));
    let (similarity, nearest) = known.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (similarity > SIMILARITY_MIN).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_word_is_recognised_and_another_one_is_not() {
        let known = ["active", "canceled", "past_due", "customer_id"];
        for (word, meant) in [
            ("activ", Some("active")),
            ("cancelled", Some("canceled")),
            ("past-due", Some("past_due")),
            ("custmer", Some("customer_id")),
            ("xyz", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
        assert_eq!(nearest("active", []), None);
    }
}
