//! Random numbers: a small generator that gives the same sequence for the same seed, on every machine and in every
//! version.

/// Seeded stream of numbers (xoshiro256**, its state filled by `SplitMix64`).
#[derive(Clone, Debug)]
pub(super) struct Dice([u64; 4]);

impl Dice {
    /// Creates the dice of one stream of a seed. Streams do not depend on each other, so the hundredth life is the
    /// same whether or not the ninety-nine before it were simulated.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut seed = seed;
        let mut state = split_mix(&mut seed) ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03);
        Self(std::array::from_fn(|_| split_mix(&mut state)))
    }

    /// Next number.
    pub(super) fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.0;
        let number = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        self.0 = [a ^ b ^ d, b ^ c ^ a, c ^ a ^ (b << 17), (d ^ b).rotate_left(45)];
        number
    }

    /// Number from 0 to `bound - 1`; 0 for a bound of 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product: the bias is below one in 2^40 for the bounds used here.
        u64::try_from((u128::from(self.next()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// Number from `low` to `high`, both included; `low` if `high` is less.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let high = high.max(low);
        low.saturating_add_unsigned(self.below(high.abs_diff(low).saturating_add(1)))
    }

    /// True with this probability, in parts of a hundred.
    pub(super) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// True with this probability, from 0 to 1.
    pub(super) fn probability(&mut self, chance: f64) -> bool {
        self.unit() < chance
    }

    /// Number in [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        // 32 bits are exact in a double and fine enough for a probability.
        f64::from(u32::try_from(self.next() >> 32).unwrap_or(0)) / 4_294_967_296.0
    }

    /// One element of a list, which must not be empty.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let index = self.below(from.len() as u64);
        &from[usize::try_from(index).unwrap_or(0)]
    }

    /// One element, with a probability in proportion to its weight.
    pub(super) fn weighted<T: Copy>(&mut self, from: &[(u64, T)]) -> T {
        let mut rest = self.below(from.iter().map(|(weight, _)| weight).sum());
        for &(weight, item) in from {
            if rest < weight {
                return item;
            }
            rest -= weight;
        }
        from[0].1
    }

    /// Random characters of an id, in the alphabet of Stripe.
    pub(super) fn letters(&mut self, count: usize) -> String {
        let mut text = String::with_capacity(count);
        let mut number = 0;
        for index in 0..count {
            if index % 10 == 0 {
                number = self.next();
            }
            text.push(base62(number));
            number /= 62;
        }
        text
    }
}

/// The last digit of a number in base 62.
pub(super) fn base62(number: u64) -> char {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    char::from(DIGITS[usize::try_from(number % 62).unwrap_or(0)])
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence_and_streams_differ() {
        let draw = |seed, stream| {
            let mut dice = Dice::new(seed, stream);
            std::array::from_fn::<u64, 4, _>(|_| dice.next())
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn numbers_stay_within_their_bounds_and_reach_both() {
        let mut dice = Dice::new(1, 1);
        let drawn: std::collections::BTreeSet<i64> =
            (0..200).map(|_| dice.between(-2, 2)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [-2, -1, 0, 1, 2]);
        assert_eq!(dice.below(0), 0);
        assert_eq!(dice.between(3, -9), 3);
        let hits = (0..10_000).filter(|_| dice.percent(25)).count();
        assert!((2_300..2_700).contains(&hits), "a quarter of 10,000 throws: {hits}");
    }
}
