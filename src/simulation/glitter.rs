//! What wind and sun make of open water at one moment: nothing that a second photo shows again.

use super::noise::{fractal, grain, lane};

/// Mean square slope of the surface in a breeze of 4 m/s: 0.003 + 0.00512 for each m/s (C. Cox and W. Munk, 1954,
/// "Measurement of the roughness of the sea surface from photographs of the sun's glitter", equation 27).
const SLOPE_VARIANCE: f32 = 0.0235;
/// Size of a facet that can be seen on its own, and of a ripple, metres.
const FACET_M: f32 = 0.14;
const RIPPLE_M: f32 = 0.9;
/// How much a ripple changes the brightness of the sky in it.
const RIPPLE: f32 = 0.07;
/// Of the facets that could mirror the sun, so many are large enough to be seen.
const SEEN: f32 = 0.9;
const GLINT: [f32; 3] = [250.0, 249.0, 242.0];

/// Returns the colour of open water, 0 to 255, whose calm colour is given.
///
/// `place` is in metres in any frame that photos share, `to_camera` and `to_sun` point east, north, up and have length
/// 1. Another `moment` has other waves.
pub(crate) fn glitter(calm: [f32; 3], place: [f32; 2], to_camera: [f32; 3], to_sun: [f32; 3], moment: u32) -> [f32; 3] {
    let ripple = 1.0 + RIPPLE * fractal(place, RIPPLE_M, 3, moment);
    let facet = grain(place, FACET_M, moment ^ 0x51);
    // A facet that mirrors the sun into the lens faces half-way between them; its slope must be that of a wave.
    let half: [f32; 3] = std::array::from_fn(|i| to_camera[i] + to_sun[i]);
    let slope2 = (half[0] * half[0] + half[1] * half[1]) / (half[2] * half[2]).max(1e-6);
    let chance = SEEN * (-slope2 / SLOPE_VARIANCE).exp();
    if lane(facet.bits, 0) < chance && facet.distance < 0.2 + 0.3 * lane(facet.bits, 1) {
        return GLINT;
    }
    calm.map(|c| c * ripple)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: [f32; 3] = [50.0, 58.0, 48.0];

    fn glints(to_camera: [f32; 3], moment: u32) -> Vec<usize> {
        let sun = [0.0, 0.6, 0.8];
        let at = |i: usize| [(i % 100) as f32 * 0.05, (i / 100) as f32 * 0.05];
        (0..10_000).filter(|&i| glitter(CALM, at(i), to_camera, sun, moment) == GLINT).collect()
    }

    #[test]
    fn the_sun_is_mirrored_where_water_faces_it_and_nowhere_else() {
        let (mirror, away) = (glints([0.0, -0.6, 0.8], 1), glints([0.0, 0.6, 0.8], 1));
        assert!(mirror.len() > 1000 && away.len() < 50, "{} {}", mirror.len(), away.len());
    }

    #[test]
    fn no_two_photos_show_the_same_waves() {
        let (one, other) = (glints([0.0, -0.6, 0.8], 1), glints([0.0, -0.6, 0.8], 2));
        let common = one.iter().filter(|i| other.contains(i)).count();
        // Independent patterns that cover a share p have p of each other in common.
        assert!((common as f64) < 1.4 * (one.len() * other.len()) as f64 / 10_000.0, "{common} of {}", one.len());
    }
}
