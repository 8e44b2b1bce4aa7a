//! The time of year and the light: what makes two flights over one dike look different.

use crate::simulation::dice::Dice;

/// A colour, red, green and blue in [0, 1], as a screen shows it (sRGB).
pub(crate) type Colour = [f32; 3];

/// Colours and light of one day.
#[derive(Clone, Debug)]
pub(crate) struct Season {
    /// Grass in its two moods: lush and dry.
    pub lush: Colour,
    pub dry: Colour,
    pub soil: Colour,
    pub reed: Colour,
    pub leaf: Colour,
    pub water: Colour,
    /// How much duckweed lies on the ditches, 0 to 1.
    pub duckweed: f32,
    /// How many flowers stand in the grass, 0 to 1.
    pub flowers: f32,
    /// Towards the sun: east, north, up, of length 1.
    pub sun: [f32; 3],
    /// The share of light that comes from the sun itself, not from the sky.
    pub direct: f32,
    /// Month of the flight, 1 to 12.
    pub month: u32,
}

impl Season {
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed, "season");
        let mut shade = |colour: [u8; 3], spread: f64| tinted(&mut dice, colour, spread);
        let (lush, dry) = (shade([96, 122, 58], 9.0), shade([150, 144, 92], 10.0));
        let (soil, reed) = (shade([118, 98, 72], 9.0), shade([154, 146, 96], 10.0));
        let (leaf, water) = (shade([62, 86, 42], 9.0), shade([50, 58, 48], 7.0));
        let dryness = dice.between(0.0, 0.55) as f32;
        let elevation = dice.between(32.0, 58.0).to_radians();
        let azimuth = dice.between(95.0, 265.0).to_radians();
        let sun = [azimuth.sin() * elevation.cos(), azimuth.cos() * elevation.cos(), elevation.sin()];
        Self {
            lush: mixed(lush, dry, dryness),
            dry,
            soil,
            reed,
            leaf,
            water,
            duckweed: dice.between(0.0, 0.8) as f32,
            flowers: dice.between(0.0, 1.0) as f32,
            sun: sun.map(|v| v as f32),
            direct: dice.between(0.3, 0.75) as f32,
            month: dice.whole(4, 9) as u32,
        }
    }

    /// Returns how bright a surface is against flat ground in full light; `slope` is the height's derivative
    /// to the east and to the north, `lit` the share of the sun that is not hidden.
    pub(crate) fn brightness(&self, slope: [f32; 2], lit: f32) -> f32 {
        let length = (slope[0] * slope[0] + slope[1] * slope[1] + 1.0).sqrt();
        let facing = (self.sun[2] - self.sun[0] * slope[0] - self.sun[1] * slope[1]).max(0.0) / length;
        let sky = 0.5 + 0.5 / length;
        let direct = self.direct * lit * facing / self.sun[2];
        // A camera's curve compresses light, here as x^0.75: from a shadow to the sun is about one and a half stops.
        let light = ((1.0 - self.direct) * sky + direct).clamp(0.02, 1.6).sqrt();
        light * light.sqrt()
    }
}

/// Returns `a` and `b` mixed: all `a` at 0, all `b` at 1.
pub(crate) fn mixed(a: Colour, b: Colour, share: f32) -> Colour {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * share)
}

/// Returns the colour made lighter or darker.
pub(crate) fn scaled(colour: Colour, factor: f32) -> Colour {
    colour.map(|c| c * factor)
}

/// Writes a colour as it is usually written, 0 to 255.
pub(crate) fn rgb(red: u8, green: u8, blue: u8) -> Colour {
    [red, green, blue].map(|c| f32::from(c) / 255.0)
}

fn tinted(dice: &mut Dice, colour: [u8; 3], spread: f64) -> Colour {
    let common = dice.normal() * spread * 0.7;
    colour.map(|c| ((f64::from(c) + common + dice.normal() * spread * 0.35) / 255.0).clamp(0.05, 0.95) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_that_faces_the_sun_is_brighter_than_one_that_turns_away() {
        let season = Season::of(4);
        let uphill = [season.sun[0], season.sun[1]];
        let away = season.brightness(uphill.map(|v| v * 0.4), 1.0);
        let facing = season.brightness(uphill.map(|v| v * -0.4), 1.0);
        assert!(facing > away + 0.02, "{facing} {away}");
        assert!(season.brightness([0.0; 2], 0.0) < season.brightness([0.0; 2], 1.0));
    }

    #[test]
    fn flat_ground_in_the_sun_keeps_its_colour() {
        assert!((Season::of(8).brightness([0.0; 2], 1.0) - 1.0).abs() < 1e-5);
    }
}
