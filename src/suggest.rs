//! Suggestions: the known word that a mistyped one was probably meant to be.

/// Similarity from which on a word is suggested, of 1 for equal words.
const SIMILAR: f64 = 0.7;

/// The word that is most like this one, if any is similar.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let known = known.into_iter().map(|it| (strsim::jaro(word, it), it));
    let (similarity, nearest) = known.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (similarity > SIMILAR).then_some(nearest)
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
