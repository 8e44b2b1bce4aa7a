//! What is known beside the pictures: GPS, gimbal angles, the lens, surveys of a flight's instruments.
//!
//! Every prior is written once, as rows of residual and slopes; the cost and the normal equations both read them, so
//! they cannot disagree. Rows that belong together (east and north of one position) share a robust loss: one wrong
//! fix is left alone, two centimetres are not.
//!
//! Instruments err alike from one photo to the next. A receiver without RTK wanders by metres in minutes but by
//! decimetres between two photos, so its *steps* say far more about a flight's scale and heading than its places do: on
//! simulated flights of 24 and 99 photos they halve the error that GPS leaves in the scale, and a guess of the
//! wandering's memory that is three times too short or too long loses a few percent of that. A gimbal's angles are off
//! by an offset that stays for the flight; it is estimated beside the poses.

use nalgebra::{Matrix3, Vector3};

use super::{AdjustedPhoto, Block, PositionPrior};
use crate::photogrammetry::{
    camera::{PARAMETERS, rotation_log},
    dense::NormalEquations,
};

/// One sigma of a flight's altitude offset: barometers and geoids differ by tens of metres.
const ALTITUDE_OFFSET_SIGMA_M: f64 = 50.0;
/// One sigma of what a gimbal adds to its tilt, and a compass to its heading, for a whole flight, radians.
const GIMBAL_OFFSET_SIGMA: [f64; 3] = [0.01, 0.01, 0.3];
/// Positions and angles farther off than this many sigmas lose their weight.
const INSTRUMENT_LOSS: Trust = Trust { sigmas: 3.0 };
/// What each flight adds to the unknowns: an altitude offset and three angles of the gimbal.
const PER_FLIGHT: usize = 4;

/// What each camera adds: its parameters and the time that it takes to read a photo out.
pub const CAMERA_UNKNOWNS: usize = PARAMETERS + 1;

/// Where the unknowns stand in the reduced system: six of each photo, then cameras, then flights.
#[derive(Clone, Copy)]
pub struct Unknowns {
    photos: usize,
    cameras: usize,
    flights: usize,
}

impl Unknowns {
    pub fn of(block: &Block) -> Self {
        Self { photos: block.photos.len(), cameras: block.cameras.len(), flights: block.altitude_offsets_m.len() }
    }

    pub const fn count(self) -> usize {
        self.gimbal(self.flights) - 1
    }

    /// The turn of a photo about its x, y and z axes, then its centre.
    pub const fn photo(photo: usize) -> usize {
        6 * photo
    }

    pub const fn camera(self, camera: usize) -> usize {
        Self::photo(self.photos) + CAMERA_UNKNOWNS * camera
    }

    pub const fn altitude(self, flight: usize) -> usize {
        self.camera(self.cameras) + PER_FLIGHT * flight
    }

    pub const fn gimbal(self, flight: usize) -> usize {
        self.altitude(flight) + 1
    }
}

/// The loss of positions and angles: they count in full up to so many sigmas and lose their weight beyond.
///
/// Least squares within, because the positions of two dozen photos are all that says where a block lies, and Cauchy's loss, which
/// weighs one at 1.5 sigmas by four fifths, turned a flight by 0.9 mrad; beyond, the weights of Cauchy's.
#[derive(Clone, Copy)]
struct Trust {
    sigmas: f64,
}

impl Trust {
    fn cost(self, squared: f64) -> f64 {
        let limit = self.sigmas * self.sigmas;
        if squared <= limit { squared } else { limit * (1.0 + (squared / limit).ln()) }
    }

    fn weight(self, squared: f64) -> f64 {
        let limit = self.sigmas * self.sigmas;
        if squared <= limit { 1.0 } else { limit / squared }
    }
}

/// One residual in sigmas, and how it changes with the unknowns; no unknown twice.
pub struct Row {
    pub residual: f64,
    pub slopes: Vec<(usize, f64)>,
}

/// The cost of all priors.
pub fn prior_cost(block: &Block) -> f64 {
    let mut cost = 0.0;
    each_prior(block, &mut |rows, loss| {
        let squared = squares(rows);
        cost += loss.map_or(squared, |loss| loss.cost(squared));
    });
    cost
}

/// How many rows the priors have.
pub fn prior_rows(block: &Block) -> usize {
    let mut count = 0;
    each_prior(block, &mut |rows, _| count += rows.len());
    count
}

/// Adds all priors to the reduced system.
pub fn add_priors(block: &Block, system: &mut NormalEquations) {
    each_prior(block, &mut |rows, loss| {
        let weight = loss.map_or(1.0, |loss| loss.weight(squares(rows))).sqrt();
        for row in rows {
            let slopes: Vec<(usize, f64)> = row.slopes.iter().map(|(at, slope)| (*at, slope * weight)).collect();
            system.add_row(&slopes, row.residual * weight);
        }
    });
    // Keeps a photo without any prior, and an unconstrained direction, from making the system singular.
    for at in 0..Unknowns::photo(block.photos.len()) {
        system.add(at, at, 1e-9);
    }
    let unknowns = Unknowns::of(block);
    for (index, adjusted) in block.cameras.iter().enumerate() {
        for (parameter, sigma) in adjusted.sigmas().into_iter().enumerate() {
            if sigma == 0.0 {
                system.add(unknowns.camera(index) + parameter, unknowns.camera(index) + parameter, 1.0);
            }
        }
    }
}

fn squares(rows: &[Row]) -> f64 {
    rows.iter().map(|row| row.residual * row.residual).sum()
}

/// Visits the rows of every prior, those that share a loss together.
fn each_prior(block: &Block, visit: &mut impl FnMut(&[Row], Option<Trust>)) {
    let unknowns = Unknowns::of(block);
    for (index, photo) in block.photos.iter().enumerate() {
        if let Some(prior) = &photo.position {
            let rows = position_rows(block, unknowns, index, prior);
            visit(&rows[..2], Some(INSTRUMENT_LOSS));
            visit(&rows[2..], Some(INSTRUMENT_LOSS));
        }
        if photo.rotation.is_some() {
            visit(&rotation_rows(block, unknowns, index, photo), Some(INSTRUMENT_LOSS));
        }
    }
    for (index, adjusted) in block.cameras.iter().enumerate() {
        let (values, priors, sigmas) = (adjusted.values(), adjusted.priors(), adjusted.sigmas());
        for parameter in 0..CAMERA_UNKNOWNS {
            let sigma = sigmas[parameter];
            if sigma > 0.0 {
                let residual = (values[parameter] - priors[parameter]) / sigma;
                visit(&[Row { residual, slopes: vec![(unknowns.camera(index) + parameter, 1.0 / sigma)] }], None);
            }
        }
    }
    let single = |at: usize, value: f64, sigma: f64| Row { residual: value / sigma, slopes: vec![(at, 1.0 / sigma)] };
    for flight in 0..block.altitude_offsets_m.len() {
        visit(&[single(unknowns.altitude(flight), block.altitude_offsets_m[flight], ALTITUDE_OFFSET_SIGMA_M)], None);
        for (axis, sigma) in GIMBAL_OFFSET_SIGMA.iter().enumerate() {
            visit(&[single(unknowns.gimbal(flight) + axis, block.gimbal_offsets[flight][axis], *sigma)], None);
        }
    }
}

/// East, north and up of a position: by itself, or by how it went on from the position before.
fn position_rows(block: &Block, unknowns: Unknowns, index: usize, prior: &PositionPrior) -> [Row; 3] {
    let off = position_error(block, index, prior);
    let before = prior.after.and_then(|after| {
        let earlier = block.photos[after.photo].position.as_ref()?;
        Some((after, position_error(block, after.photo, earlier)))
    });
    [0, 1, 2].map(|axis| {
        let sigma = if axis < 2 { prior.sigma_horizontal_m } else { prior.sigma_vertical_m };
        let flight = prior.flight.filter(|_| axis == 2);
        let own = Unknowns::photo(index) + 3 + axis;
        let Some((after, before)) = &before else {
            let mut slopes = vec![(own, 1.0 / sigma)];
            slopes.extend(flight.map(|flight| (unknowns.altitude(flight), 1.0 / sigma)));
            return Row { residual: off[axis] / sigma, slopes };
        };
        let slope = 1.0 / (sigma * (1.0 - after.share * after.share).sqrt());
        let earlier = Unknowns::photo(after.photo) + 3 + axis;
        let mut slopes = vec![(own, slope), (earlier, -after.share * slope)];
        slopes.extend(flight.map(|flight| (unknowns.altitude(flight), (1.0 - after.share) * slope)));
        Row { residual: (off[axis] - after.share * before[axis]) * slope, slopes }
    })
}

/// How far a photo is from where its instruments put it, after the flight's altitude offset.
fn position_error(block: &Block, photo: usize, prior: &PositionPrior) -> Vector3<f64> {
    let offset = prior.flight.map_or(0.0, |flight| block.altitude_offsets_m[flight]);
    block.photos[photo].exterior.centre - prior.enu + Vector3::new(0.0, 0.0, offset)
}

/// The turn from the gimbal's angles to the photo's, about the camera's axes, less the flight's offset.
fn rotation_rows(block: &Block, unknowns: Unknowns, index: usize, photo: &AdjustedPhoto) -> Vec<Row> {
    let Some(prior) = &photo.rotation else { return Vec::new() };
    let turn = rotation_log(&(photo.exterior.rotation * prior.rotation.transpose()));
    let by_turn = by_left_turn(&turn);
    let offset = prior.flight.map_or_else(Vector3::zeros, |flight| block.gimbal_offsets[flight]);
    (0..3)
        .map(|axis| {
            let slope = 1.0 / prior.sigma[axis];
            let mut slopes: Vec<(usize, f64)> =
                (0..3).map(|of| (Unknowns::photo(index) + of, by_turn[(axis, of)] * slope)).collect();
            slopes.extend(prior.flight.map(|flight| (unknowns.gimbal(flight) + axis, -slope)));
            Row { residual: (turn[axis] - offset[axis]) * slope, slopes }
        })
        .collect()
}

/// How the rotation vector of `exp(w) R` changes with a small `w`: the inverse of the left Jacobian of SO(3)
/// (Solà et al. 2018, *A micro Lie theory*, eq. 146).
fn by_left_turn(turn: &Vector3<f64>) -> Matrix3<f64> {
    let (cross, angle) = (turn.cross_matrix(), turn.norm());
    let second = if angle < 1e-4 {
        1.0 / 12.0
    } else {
        1.0 / (angle * angle) - (1.0 + angle.cos()) / (2.0 * angle * angle.sin())
    };
    Matrix3::identity() - 0.5 * cross + second * cross * cross
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{AdjustedCamera, After, RotationPrior, solve::moved},
        *,
    };
    use crate::photogrammetry::camera::{Camera, Exterior, rotation_exp};

    fn vector(size: f64) -> impl Strategy<Value = Vector3<f64>> {
        prop::array::uniform3(-size..size).prop_map(Vector3::from)
    }

    prop_compose! {
        /// Two photos of one flight, the second of which goes on from the first, with every prior there is.
        fn block()(
            turns in prop::array::uniform4(vector(0.8)),
            centres in prop::array::uniform4(vector(3.0)),
            gimbal in vector(0.1),
            altitude in -20.0..20.0f64,
            share in 0.0..0.99f64,
            lens in prop::array::uniform8(-0.01..0.01f64),
        ) -> Block {
            let camera = Camera::ideal(1600.0, 1200.0, 1100.0);
            let mut parameters = camera.parameters();
            parameters.iter_mut().zip(lens).for_each(|(value, off)| *value *= 1.0 + off);
            let photos = (0..2).map(|index| AdjustedPhoto {
                exterior: Exterior { rotation: rotation_exp(&turns[index]), centre: centres[index] },
                camera: 0,
                position: Some(PositionPrior {
                    enu: centres[index + 2],
                    sigma_horizontal_m: 1.5,
                    sigma_vertical_m: 3.0,
                    flight: Some(0),
                    after: (index == 1).then_some(After { photo: 0, share }),
                }),
                rotation: Some(RotationPrior {
                    rotation: rotation_exp(&turns[index + 2]),
                    sigma: Vector3::new(0.05, 0.05, 0.1),
                    flight: Some(0),
                }),
                height_above_ground_m: None,
                sortie: 0,
                taken_at_s: None,
                velocity: Vector3::zeros(),
            });
            Block {
                cameras: vec![AdjustedCamera {
                    camera: camera.with_parameters(parameters),
                    prior: camera.parameters(),
                    sigma: [50.0, 30.0, 30.0, 0.2, 0.2, 0.1, 0.005, 0.005],
                    readout_s: 0.02,
                    readout_prior_s: (0.03, 0.01),
                }],
                photos: photos.collect(),
                points: Vec::new(),
                altitude_offsets_m: vec![altitude],
                gimbal_offsets: vec![gimbal],
                precision: None,
            }
        }
    }

    #[test]
    fn three_sigmas_count_in_full_and_thirty_hardly() {
        assert_eq!((INSTRUMENT_LOSS.cost(8.9), INSTRUMENT_LOSS.weight(8.9)), (8.9, 1.0));
        assert!((INSTRUMENT_LOSS.weight(900.0) - 0.01).abs() < 1e-12);
        for squared in [2.0, 8.999, 9.001, 900.0] {
            let slope = (INSTRUMENT_LOSS.cost(squared + 1e-4) - INSTRUMENT_LOSS.cost(squared - 1e-4)) / 2e-4;
            assert!((slope - INSTRUMENT_LOSS.weight(squared)).abs() < 1e-6, "{squared}: {slope}");
        }
    }

    fn residuals(block: &Block) -> Vec<f64> {
        let mut all = Vec::new();
        each_prior(block, &mut |rows, _| all.extend(rows.iter().map(|row| row.residual)));
        all
    }

    proptest! {
        #[test]
        fn slopes_agree_with_finite_differences(block in block()) {
            let count = Unknowns::of(&block).count();
            let mut slopes = Vec::new();
            each_prior(&block, &mut |rows, _| {
                for row in rows {
                    let mut dense = vec![0.0; count];
                    row.slopes.iter().for_each(|(at, slope)| dense[*at] += slope);
                    slopes.push(dense);
                }
            });
            for unknown in 0..count {
                let ahead = |step: f64| {
                    let mut steps = vec![0.0; count];
                    steps[unknown] = step;
                    residuals(&moved(&block, &steps))
                };
                for ((ahead, behind), row) in ahead(1e-6).iter().zip(ahead(-1e-6)).zip(&slopes) {
                    let slope = (ahead - behind) / 2e-6;
                    prop_assert!((slope - row[unknown]).abs() < 1e-5 * (1.0 + slope.abs()), "unknown {unknown}: {slope} is not {}", row[unknown]);
                }
            }
        }
    }
}
