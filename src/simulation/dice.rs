//! A sequence of random numbers that stays the same on every machine and in every release.

use std::f64::consts::TAU;

/// `SplitMix64` (G. Steele, D. Lea, C. Flood, 2014, "Fast splittable pseudorandom number generators").
///
/// Written here, not taken from a crate, because a seed must give the same world after every update.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Starts the sequence of one seed for one purpose, so that new purposes leave the old ones as they were.
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        let mut state = seed ^ 0x6C62_272E_07BB_0142;
        for byte in purpose.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        let mut dice = Self(state);
        dice.bits();
        dice
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a number in [from, to).
    pub(crate) fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * (self.bits() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// Returns a whole number in [from, to].
    pub(crate) fn whole(&mut self, from: i64, to: i64) -> i64 {
        from + self.between(0.0, (to - from + 1) as f64).floor() as i64
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.between(0.0, 1.0) < probability
    }

    /// Returns a normally distributed number with mean 0 and deviation 1 (Box and Muller, 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.between(0.0, 1.0)).ln()).sqrt();
        radius * (TAU * self.between(0.0, 1.0)).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_deviation_one() {
        let mut dice = Dice::new(3, "test");
        let numbers: Vec<f64> = (0..20_000).map(|_| dice.normal()).collect();
        let mean = numbers.iter().sum::<f64>() / 20_000.0;
        let variance = numbers.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }

    #[test]
    fn whole_numbers_reach_both_ends() {
        let mut dice = Dice::new(1, "test");
        let numbers: Vec<i64> = (0..200).map(|_| dice.whole(2, 4)).collect();
        assert!((2..=4).all(|n| numbers.contains(&n)) && numbers.iter().all(|n| (2..=4).contains(n)));
    }

    #[test]
    fn purposes_of_one_seed_are_unrelated() {
        assert_ne!(Dice::new(1, "houses").bits(), Dice::new(1, "trees").bits());
    }
}
