//! A flight whose every number is known, adjusted from a wrong start.

use rand::{RngExt, SeedableRng};
use rand_distr::Distribution as _;
use rand_pcg::Pcg64Mcg;

use super::*;
use crate::{
    photogrammetry::{
        camera::{rotation_exp, rotation_log, rotation_of},
        report::peak_memory_mb,
    },
    raster::Attitude,
};

/// The lens of the world: its axis is off the middle, which a radial camera would turn into a bent block.
const TRUE_LENS: [f64; PARAMETERS] = [1180.0, 795.6, 604.5, -0.05, 0.01, -0.002, 0.0004, -0.0003];

fn random_vector(random: &mut Pcg64Mcg, size: f64) -> Vector3<f64> {
    Vector3::from_fn(|_, _| random.random_range(-size..size))
}

/// Three strips of five photos at 40 m over ground with a dike, alternating in direction and tilted a little.
pub fn true_block(random: &mut Pcg64Mcg) -> Block {
    world(random, [3, 5], [18.0, 11.0], 1500)
}

/// Strips of photos and so many points under them; `spacing_m` is across and along the strips.
fn world(random: &mut Pcg64Mcg, [strips, along]: [u32; 2], spacing_m: [f64; 2], points: usize) -> Block {
    let camera = Camera::ideal(1600.0, 1200.0, 1150.0);
    let prior = camera.parameters();
    let mut block = Block { altitude_offsets_m: vec![0.0], gimbal_offsets: vec![Vector3::zeros()], ..Block::default() };
    block.cameras.push(AdjustedCamera {
        camera: camera.with_parameters(TRUE_LENS),
        prior,
        sigma: [57.0, 32.0, 32.0, 0.2, 0.2, 0.1, 0.005, 0.005],
        readout_s: 0.0,
        readout_prior_s: (0.0, 0.0),
    });
    for index in 0..strips * along {
        let (strip, along) = (index / along, index % along);
        let attitude = Attitude {
            yaw_deg: if strip % 2 == 0 { 90.0 } else { -90.0 },
            pitch_deg: -90.0 + random.random_range(-3.0..3.0),
            roll_deg: random.random_range(-3.0..3.0),
        };
        let centre = Vector3::new(f64::from(along) * spacing_m[1], f64::from(strip) * spacing_m[0], 40.0)
            + random_vector(random, 0.8);
        block.photos.push(AdjustedPhoto {
            exterior: Exterior { rotation: rotation_of(&attitude), centre },
            camera: 0,
            position: Some(PositionPrior {
                enu: centre,
                sigma_horizontal_m: 0.02,
                sigma_vertical_m: 0.03,
                flight: None,
                after: None,
            }),
            rotation: None,
            sortie: 0,
            taken_at_s: None,
            velocity: Vector3::zeros(),
            height_above_ground_m: None,
        });
    }
    let reach = [f64::from(along - 1) * spacing_m[1] + 21.0, f64::from(strips - 1) * spacing_m[0] + 14.0];
    for _ in 0..points {
        let (east, north): (f64, f64) = (random.random_range(-20.0..reach[0]), random.random_range(-15.0..reach[1]));
        let height = (4.0 - (north - 18.0).abs()).clamp(0.0, 3.0) + random.random_range(-0.1..0.1);
        let position = Vector3::new(east, north, height);
        let sightings = (0..strips * along)
            .filter_map(|photo| {
                let seen = reprojection(&block, &block.photos[photo as usize], &position)?;
                let noise = Vector2::new(random.random_range(-0.3..0.3), random.random_range(-0.3..0.3));
                let inside = block.cameras[0].camera.contains(&seen);
                inside.then(|| Observation { photo, pixel: seen + noise, sigma_px: 0.5, rgb: [0.0; 3] })
            })
            .collect::<Vec<_>>();
        if sightings.len() > 1 {
            block.points.push(TiePoint { position, sightings, survey: None });
        }
    }
    block
}

/// Throws the poses metres and degrees off and forgets the lens.
pub fn disturb(block: &mut Block, random: &mut Pcg64Mcg) {
    for photo in &mut block.photos {
        photo.exterior.centre += random_vector(random, 1.0);
        photo.exterior.rotation = rotation_exp(&random_vector(random, 0.02)) * photo.exterior.rotation;
    }
    for point in &mut block.points {
        point.position += random_vector(random, 1.0);
    }
    block.cameras[0].camera = block.cameras[0].camera.with_parameters(block.cameras[0].prior);
}

pub const SOLVER: Solver = Solver { loss_scale: 3.0, most_iterations: 60, tolerance: 1e-9 };

#[test]
fn a_known_lens_and_known_places_are_recovered() {
    let mut random = Pcg64Mcg::seed_from_u64(3);
    let truth = true_block(&mut random);
    let mut block = truth.clone();
    disturb(&mut block, &mut random);
    SOLVER.adjust(&mut block);

    let lens = block.cameras[0].camera;
    // 1500 points with 0.3 px of noise: the focal length within 0.05 %, the axis within half a pixel.
    assert!((lens.focal_px - TRUE_LENS[0]).abs() < 0.6, "focal length {}", lens.focal_px);
    assert!((lens.cx - TRUE_LENS[1]).abs() < 0.5 && (lens.cy - TRUE_LENS[2]).abs() < 0.5, "{} {}", lens.cx, lens.cy);
    assert!((lens.k[0] - TRUE_LENS[3]).abs() < 0.003, "k1 {}", lens.k[0]);
    for (photo, known) in block.photos.iter().zip(&truth.photos) {
        let off = (photo.exterior.centre - known.exterior.centre).norm();
        assert!(off < 0.03, "a camera is {off} m off");
    }
    // One GSD is 3.4 cm at 40 m.
    let squared: f64 =
        block.points.iter().zip(&truth.points).map(|(a, b)| (a.position - b.position).xy().norm_squared()).sum();
    let rmse = (squared / block.points.len() as f64).sqrt();
    assert!(rmse < 0.02, "tie points are {rmse} m off");
}

#[test]
fn wrong_sightings_do_not_bend_the_block() {
    let mut random = Pcg64Mcg::seed_from_u64(4);
    let truth = true_block(&mut random);
    let mut block = truth.clone();
    for point in block.points.iter_mut().step_by(12) {
        point.sightings[0].pixel += Vector2::new(35.0, -20.0);
    }
    disturb(&mut block, &mut random);
    SOLVER.adjust(&mut block);
    for (photo, known) in block.photos.iter().zip(&truth.photos) {
        let off = (photo.exterior.centre - known.exterior.centre).norm();
        assert!(off < 0.05, "a camera is {off} m off");
    }
}

#[test]
fn surveyed_points_move_the_block_and_coarse_gps_does_not_stop_them() {
    let mut random = Pcg64Mcg::seed_from_u64(5);
    let truth = true_block(&mut random);
    let mut block = truth.clone();
    let shift = Vector3::new(1.2, -0.8, 2.0);
    for photo in &mut block.photos {
        photo.exterior.centre += shift;
        let prior = photo.position.as_mut().unwrap();
        prior.enu += shift;
        (prior.sigma_horizontal_m, prior.sigma_vertical_m, prior.flight) = (1.5, 3.0, Some(0));
    }
    for (index, point) in block.points.iter_mut().enumerate() {
        if index % 250 == 0 {
            point.survey = Some((point.position, Vector3::new(0.01, 0.01, 0.015)));
        } else {
            point.position += shift;
        }
    }
    SOLVER.adjust(&mut block);
    // Six points of a centimetre: the ground follows them, 1.4 m against GPS, to about one GSD.
    let squared: f64 =
        block.points.iter().zip(&truth.points).map(|(a, b)| (a.position - b.position).xy().norm_squared()).sum();
    let rmse = (squared / block.points.len() as f64).sqrt();
    assert!(rmse < 0.035, "tie points are {rmse} m off");
}

#[test]
fn the_height_over_the_ground_decides_where_nothing_else_does() {
    // Flat ground, a nadir flight and a focal length that is 8 % wrong: only the height can tell.
    let mut random = Pcg64Mcg::seed_from_u64(6);
    let mut block = true_block(&mut random);
    for photo in &mut block.photos {
        photo.height_above_ground_m = Some((photo.exterior.centre.z, 0.5));
        photo.position = photo.position.map(|prior| PositionPrior { sigma_vertical_m: 3.0, flight: Some(0), ..prior });
    }
    block.cameras[0].prior[0] = 1274.0;
    disturb(&mut block, &mut random);
    SOLVER.adjust(&mut block);
    let heights: f64 = block.photos.iter().map(|photo| photo.exterior.centre.z).sum::<f64>() / 15.0;
    let ground: f64 = block.points.iter().map(|point| point.position.z).sum::<f64>() / block.points.len() as f64;
    assert!((heights - ground - 40.0).abs() < 1.0, "{} m over the ground", heights - ground);
}

#[test]
fn what_stands_on_the_ground_does_not_enlarge_the_block() {
    let mut random = Pcg64Mcg::seed_from_u64(16);
    let truth = true_block(&mut random);
    let mut block = truth.clone();
    // Only the height over the land says how large the block is. The dike raises the mean by 1 % of it.
    block.cameras = vec![AdjustedCamera::held(truth.cameras[0].camera)];
    for photo in &mut block.photos {
        photo.height_above_ground_m = Some((photo.exterior.centre.z, 0.1));
        let loose = |prior| PositionPrior { sigma_horizontal_m: 50.0, sigma_vertical_m: 50.0, ..prior };
        photo.position = photo.position.map(loose);
        photo.exterior.centre *= 1.02;
    }
    block.points.iter_mut().for_each(|point| point.position *= 1.02);
    SOLVER.adjust(&mut block);
    let length = |block: &Block| (block.photos[14].exterior.centre - block.photos[0].exterior.centre).norm();
    let scale = length(&block) / length(&truth) - 1.0;
    assert!(scale.abs() < 0.003, "{:.0} ppm", scale * 1e6);
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let adjusted = |threads: usize| {
        let mut random = Pcg64Mcg::seed_from_u64(7);
        let mut block = true_block(&mut random);
        disturb(&mut block, &mut random);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Solver { most_iterations: 5, ..SOLVER }.adjust(&mut block));
        block.photos.iter().map(|photo| photo.exterior.centre).collect::<Vec<_>>()
    };
    assert_eq!(adjusted(1), adjusted(4));
}

#[test]
fn rays_meet_where_the_point_is() {
    let mut random = Pcg64Mcg::seed_from_u64(8);
    let block = true_block(&mut random);
    for point in block.points.iter().take(50) {
        let (position, angle) = triangulate(&block, &point.sightings).unwrap();
        assert!(angle > 0.05 && (position - point.position).norm() < 0.15, "{}", (position - point.position).norm());
    }
}

/// How much too large a block is, from its camera centres.
fn scale_error(block: &Block, truth: &Block) -> f64 {
    let centre = |block: &Block| block.photos.iter().map(|p| p.exterior.centre).sum::<Vector3<f64>>() / 15.0;
    let (mine, theirs) = (centre(block), centre(truth));
    let (mut dot, mut square) = (0.0, 0.0);
    for (a, b) in block.photos.iter().zip(&truth.photos) {
        let (a, b) = ((a.exterior.centre - mine).xy(), (b.exterior.centre - theirs).xy());
        dot += a.dot(&b);
        square += b.norm_squared();
    }
    dot / square - 1.0
}

#[test]
fn steps_of_a_wandering_receiver_say_more_about_the_scale_than_its_places() {
    let mut random = Pcg64Mcg::seed_from_u64(9);
    let mut truth = true_block(&mut random);
    truth.points.truncate(250);
    let (mut of_places, mut of_steps) = (0.0, 0.0);
    for _ in 0..12 {
        let mut block = truth.clone();
        let share = (-2.0f64 / 60.0).exp();
        let normal = |random: &mut Pcg64Mcg| Vector3::from_fn(|_, _| rand_distr::StandardNormal.sample(random));
        let mut error = 1.2 * normal(&mut random);
        for photo in &mut block.photos {
            let prior = photo.position.as_mut().unwrap();
            prior.enu += error;
            (prior.sigma_horizontal_m, prior.sigma_vertical_m) = (1.5, 3.0);
            error = share * error + 1.2 * (1.0 - share * share).sqrt() * normal(&mut random);
        }
        let mut chained = block.clone();
        for index in 1..15 {
            chained.photos[index].position.as_mut().unwrap().after = Some(After { photo: index - 1, share });
        }
        SOLVER.adjust(&mut block);
        SOLVER.adjust(&mut chained);
        of_places += scale_error(&block, &truth).powi(2);
        of_steps += scale_error(&chained, &truth).powi(2);
    }
    assert!(of_steps < 0.5 * of_places, "{} against {}", of_steps.sqrt(), of_places.sqrt());
}

#[test]
fn an_offset_of_the_gimbal_does_not_tilt_a_flight_that_goes_there_and_back() {
    let mut random = Pcg64Mcg::seed_from_u64(10);
    let truth = true_block(&mut random);
    let mut block = truth.clone();
    for photo in &mut block.photos {
        let prior = photo.position.as_mut().unwrap();
        (prior.sigma_horizontal_m, prior.sigma_vertical_m, prior.flight) = (1.5, 20.0, Some(0));
        // Off by half a degree forwards, and by a degree and a half in the heading.
        let rotation = rotation_exp(&Vector3::new(-0.009, 0.002, -0.026)) * photo.exterior.rotation;
        photo.rotation = Some(RotationPrior { rotation, sigma: Vector3::new(0.05, 0.05, 0.1), flight: Some(0) });
    }
    SOLVER.adjust(&mut block);
    for (photo, known) in block.photos.iter().zip(&truth.photos) {
        let tilt = rotation_log(&(photo.exterior.rotation.transpose() * known.exterior.rotation)).xy().norm();
        // Two of three strips fly one way: without an offset a third of it, 3 mrad, would stay.
        assert!(tilt < 0.0025, "{tilt} rad of tilt");
    }
}

#[test]
fn the_rows_of_a_rolling_shutter_are_put_where_they_were_taken() {
    let mut random = Pcg64Mcg::seed_from_u64(11);
    let mut truth = true_block(&mut random);
    truth.cameras[0].readout_s = 0.03;
    for (index, photo) in truth.photos.iter_mut().enumerate() {
        photo.velocity = Vector3::new(if index / 5 % 2 == 0 { 8.0 } else { -8.0 }, 0.5, 0.0);
    }
    // 24 cm of flight during the readout, seven rows of the photo.
    let seen = truth.clone();
    for sighting in truth.points.iter_mut().flat_map(|point| {
        let position = point.position;
        point.sightings.iter_mut().map(move |sighting| (position, sighting))
    }) {
        let (position, sighting) = sighting;
        let still = AdjustedPhoto { velocity: Vector3::zeros(), ..seen.photos[sighting.photo as usize].clone() };
        let moved = reprojection(&seen, &seen.photos[sighting.photo as usize], &position);
        let (Some(moved), Some(still)) = (moved, reprojection(&seen, &still, &position)) else { continue };
        sighting.pixel += moved - still;
    }
    let run = |readout_prior_s: (f64, f64)| {
        let mut block = truth.clone();
        disturb(&mut block, &mut Pcg64Mcg::seed_from_u64(12));
        block.cameras[0].readout_s = readout_prior_s.0;
        block.cameras[0].readout_prior_s = readout_prior_s;
        // In rounds, as the flight is adjusted: a way turns with its camera, and the camera was turned by a degree.
        for _ in 0..2 {
            block.photos.iter_mut().zip(&truth.photos).for_each(|(photo, known)| photo.velocity = known.velocity);
            SOLVER.adjust(&mut block);
        }
        let squared: f64 =
            block.points.iter().zip(&truth.points).map(|(a, b)| (a.position - b.position).xy().norm_squared()).sum();
        (block.cameras[0].readout_s, (squared / block.points.len() as f64).sqrt())
    };
    let (readout_s, rmse) = run((0.0, 0.03));
    assert!((readout_s - 0.03).abs() < 0.001, "{readout_s} s");
    // 0.3 px of noise is 1 cm on the ground.
    assert!(rmse < 0.03, "tie points are {rmse} m off");
    let (_, held) = run((0.0, 0.0));
    assert!(held > 1.5 * rmse, "without a readout they are only {held} m off");
}

/// Beyond 500 photos the reduced system is sparse.
#[test]
fn more_photos_than_a_dense_system_takes_are_put_right_and_know_how_sure_they_are() {
    let mut random = Pcg64Mcg::seed_from_u64(17);
    let truth = world(&mut random, [18, 28], [18.0, 11.0], 6000);
    assert!(truth.photos.len() > 500);
    let mut block = truth.clone();
    disturb(&mut block, &mut random);
    let summary = Solver { tolerance: 1e-6, ..SOLVER }.adjust(&mut block);
    assert!(summary.last_cost < 1e-2 * summary.first_cost, "{summary:?}");
    let precision = Precision::of(&block, SOLVER.loss_scale).expect("it is determined");
    let offs: Vec<f64> = block
        .photos
        .iter()
        .zip(&truth.photos)
        .zip(&precision.photos)
        .map(|((photo, known), sure)| {
            let off = photo.exterior.centre - known.exterior.centre;
            assert!(off.norm() < 0.05, "a camera is {} m off", off.norm());
            off.component_div(&sure.centre_m).norm_squared() / 3.0
        })
        .collect();
    // Noise of 0.17 px that was given as 0.5: the sigmas are a few times too cautious, and none is zero.
    let mean = (offs.iter().sum::<f64>() / offs.len() as f64).sqrt();
    assert!((0.1..1.0).contains(&mean), "{mean} sigmas off");
}

/// What thousands of photos cost: `cargo test --release adjusts_thousands -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement: wants a release build and a quiet machine"]
fn adjusts_thousands_of_photos_in_bounded_memory() {
    for size in [[25, 40], [40, 50]] {
        let mut random = Pcg64Mcg::seed_from_u64(13);
        let photos = size[0] * size[1];
        let truth = world(&mut random, size, [21.8, 13.6], photos as usize * 190);
        let mut block = truth.clone();
        disturb(&mut block, &mut random);
        let sightings: usize = block.points.iter().map(|point| point.sightings.len()).sum();
        let before = peak_memory_mb();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let start = std::time::Instant::now();
        let summary = pool.install(|| Solver { tolerance: 1e-6, ..SOLVER }.adjust(&mut block));
        let adjusted = start.elapsed().as_secs_f64();
        let precision = pool.install(|| Precision::of(&block, SOLVER.loss_scale)).expect("it is determined");
        let whole = start.elapsed().as_secs_f64();
        println!(
            "{photos} photos, {} points, {sightings} sightings: {} iterations in {adjusted:.1} s, precision {:.1} s, peak {before:.0} to {:.0} MB, \
             focal {:.2} give or take {:.2}",
            block.points.len(),
            summary.iterations,
            whole - adjusted,
            peak_memory_mb(),
            block.cameras[0].camera.focal_px,
            precision.cameras[0][0],
        );
        assert!((block.cameras[0].camera.focal_px - TRUE_LENS[0]).abs() < 0.3);
    }
}

/// How much processor time a large adjustment takes: `cargo test --release adjusts_a_hundred -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement: wants a release build and a quiet machine"]
fn adjusts_a_hundred_photos_quickly() {
    let mut random = Pcg64Mcg::seed_from_u64(13);
    let truth = world(&mut random, [10, 10], [21.8, 13.6], 19_600);
    let mut block = truth.clone();
    disturb(&mut block, &mut random);
    let sightings: usize = block.points.iter().map(|point| point.sightings.len()).sum();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let start = std::time::Instant::now();
    // On one thread that nothing disturbs, the time that passes is the processor's.
    let summary = pool.install(|| Solver { tolerance: 1e-6, ..SOLVER }.adjust(&mut block));
    let seconds = start.elapsed().as_secs_f64();
    let focal = block.cameras[0].camera.focal_px;
    println!(
        "100 photos, {} points, {sightings} sightings: {summary:?}, {seconds:.2} s, focal {focal:.2}",
        block.points.len()
    );
    assert!((focal - TRUE_LENS[0]).abs() < 0.3 && seconds < 2.5, "{seconds} s, focal {focal}");
}
