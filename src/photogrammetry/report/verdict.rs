//! Whether to use the orthophoto: what does not fit together, in words, each with what to do about it.
//!
//! With three control points or more it is they who decide about place and scale, and GPS must only not contradict them
//! grossly; without, GPS decides within its own noise. Check points judge both.

use super::{
    GpsAgreement, Report,
    agreement::EXCEPTIONS_SHARE,
    survey::{ENOUGH_CONTROL, SurveyRmse},
};

/// A reason not to use the orthophoto, and the remedy.
struct Fault {
    says: String,
    remedy: &'static str,
}

/// A focal length farther from the EXIF than this is worth a line; beyond the second it is not this camera.
const FOCAL_NOTE_PERCENT: f64 = 8.0;
const FOCAL_REFUSED_PERCENT: f64 = 30.0;
/// A height over the ground may differ from the aircraft's by so much: nobody takes off from the mean ground. Beyond the
/// second share, with a focal length that went along by half as much, it is the focal length that is wrong.
const HEIGHT_NOTE_SHARE: f64 = 0.15;
const HEIGHT_REFUSED_SHARE: f64 = 0.2;
/// Control points may lie this far from where GPS puts them: standard GPS, and the step from one datum to another.
const DATUM_STEP_M: f64 = 10.0;
/// A surveyed point of the adjustment may be off by so many pixels in plan and in height: beyond, it is marked or
/// written wrongly. And by these metres in any case.
const CONTROL_LIMIT_PX: [f64; 2] = [10.0, 20.0];
const CONTROL_FLOOR_M: [f64; 2] = [0.2, 0.4];
/// Check points are good to one or two pixels in plan and three in height in a sound block; beyond these, and beyond
/// so many times what control points show, the block does not follow its control points.
const CHECK_LIMIT_PX: [f64; 2] = [5.0, 8.0];
const CHECK_TIMES_CONTROL: f64 = 4.0;
const CHECK_GPS_SIGMAS: f64 = 4.0;
/// A part of the flight is missing when so many of its photos lie outside the orthophoto, at this share of all, and not
/// farther away than a flight is long.
const FEWEST_MISSING: usize = 3;
const MISSING_SHARE: f64 = 0.1;
const ANOTHER_PLACE_M: f64 = 1000.0;
/// Photos that look farther from straight down than this are not meant for the orthophoto.
const OBLIQUE_DEG: f64 = 35.0;
/// Ground that fewer than three photos see has heights that nothing checks.
const THIN_OVERLAP_SHARE: f64 = 0.5;
/// Photos that fit each other worse than this have something that the camera model does not explain.
const POOR_FIT_PX: f64 = 1.0;

/// Fills in verdict, reasons and advice, and adds to the notes.
pub fn judge(report: &mut Report) {
    let (mut faults, mut notes) = (Vec::new(), Vec::new());
    photos(report, &mut faults, &mut notes);
    if let [_, _, ..] = report.blocks[..] {
        for (number, block) in report.blocks.iter().enumerate() {
            let (first_fault, first_note) = (faults.len(), notes.len());
            place(block.gps.as_ref(), block.control_points, &mut faults, &mut notes);
            let named = faults[first_fault..].iter_mut().map(|fault| &mut fault.says).chain(&mut notes[first_note..]);
            named.for_each(|words| *words = format!("block {}: {words}", number + 1));
        }
    } else {
        place(report.gps.as_ref(), report.control_points.len(), &mut faults, &mut notes);
    }
    lenses(report, &mut faults, &mut notes);
    control(report, &mut faults, &mut notes);
    checks(report, &mut faults, &mut notes);
    fit(report, &mut notes);

    for Fault { says, remedy } in faults {
        report.reasons.push(says);
        if !report.advice.iter().any(|known| known == remedy) {
            report.advice.push(remedy.to_owned());
        }
    }
    report.verdict =
        if report.reasons.is_empty() { "ok".to_owned() } else { format!("do not use: {}", report.reasons.join("; ")) };
    report.notes.append(&mut notes);
}

fn photos(report: &Report, faults: &mut Vec<Fault>, notes: &mut Vec<String>) {
    let counts = &report.photos;
    if 2 * counts.used < counts.total {
        faults.push(Fault {
            says: format!("only {} of {} photos are in it", counts.used, counts.total),
            remedy: "Look at the reasons beside the photos that were left out; fly again with more overlap or more height.",
        });
    }
    let missing = missing_photos(report);
    if missing >= FEWEST_MISSING && missing as f64 >= MISSING_SHARE * counts.total as f64 {
        faults.push(Fault {
            says: format!("a part of the flight is missing: {missing} photos that were not used lie outside it"),
            remedy: "Stitch the missing part as a flight of its own, or fly the gap between the parts.",
        });
    } else if missing > 0 {
        notes.push(format!(
            "not used, and outside the orthophoto: {missing} of the photos; it is smaller than the flight"
        ));
    }
    if report.overlap.at_least_three < THIN_OVERLAP_SHARE {
        let share = report.overlap.at_least_three * 100.0;
        notes.push(format!("only {share:.0} % of the ground is seen by three photos or more: heights rest on two"));
    }
}

/// Photos that were meant for the orthophoto, and whose own ground is not in it.
fn missing_photos(report: &Report) -> usize {
    let [west, south, east, north] = report.overlap.extent();
    // GPS knows where it was but for what the block, on control points, lies beside GPS.
    let shift = report.gps.as_ref().map_or([0.0; 2], |gps| [gps.east.mean_m, gps.north.mean_m]);
    let is_missing = |[x, y]: [f64; 2]| {
        let [x, y] = [x + shift[0], y + shift[1]];
        let away = (west - x).max(x - east).max(0.0).hypot((south - y).max(y - north).max(0.0));
        report.overlap.at([x, y]) == 0 && away < ANOTHER_PLACE_M
    };
    let rejected =
        report.photos.rejected.iter().filter(|photo| photo.off_nadir_deg.is_none_or(|off| off <= OBLIQUE_DEG));
    rejected.filter_map(|photo| Some([photo.east_m?, photo.north_m?])).filter(|place| is_missing(*place)).count()
}

/// Whether a block is where GPS or its control points say.
fn place(gps: Option<&GpsAgreement>, control: usize, faults: &mut Vec<Fault>, notes: &mut Vec<String>) {
    match gps {
        Some(gps) if control < ENOUGH_CONTROL => place_by_gps(gps, faults, notes),
        Some(gps) => gps_beside_control(gps, faults, notes),
        None if control < ENOUGH_CONTROL => faults.push(Fault {
            says: "neither GPS nor control points fix its place and scale".to_owned(),
            remedy: "Give three or more control points that are not on one line (--gcp), or photos with GPS.",
        }),
        None => {}
    }
}

/// GPS alone says where and how large the block is: it may differ by no more than its noise.
fn place_by_gps(gps: &GpsAgreement, faults: &mut Vec<Fault>, notes: &mut Vec<String>) {
    if gps.outliers.len() as f64 > EXCEPTIONS_SHARE * gps.photos as f64 {
        faults.push(Fault {
            says: format!(
                "positions differ from GPS by {:.1} m in plan and {:.1} m in height ({} of {} photos by more than GPS can)",
                gps.horizontal_rmse_m,
                gps.vertical_rmse_m,
                gps.outliers.len(),
                gps.photos
            ),
            remedy: "Check that the photos are of one flight and carry their own positions, or give control points (--gcp).",
        });
    } else {
        outliers(gps, notes);
    }
    scale_and_turn(gps, "GPS asks", faults);
    for (tilt, limit) in gps.tilt_mrad.iter().zip(gps.tilt_limit_mrad) {
        if tilt.abs() > limit {
            faults.push(Fault {
                says: format!("its heights lean by {:.1} % against those of GPS", tilt.abs() / 10.0),
                remedy: "Give three or more control points with heights (--gcp); do not measure heights on it before.",
            });
        }
    }
}

fn outliers(gps: &GpsAgreement, notes: &mut Vec<String>) {
    if let Some(first) = gps.outliers.first() {
        let count = gps.outliers.len();
        notes.push(format!("GPS of {count} of {} photos is off by more than it can be, first of {first}", gps.photos));
    }
}

fn scale_and_turn(gps: &GpsAgreement, who: &str, faults: &mut Vec<Fault>) {
    let remedy = "Check the surveyed points (coordinate system, order of the axes) and the positions in the photos: \
                  one of the two is wrong. Do not measure on the orthophoto before that.";
    if gps.scale_ppm.abs() > gps.scale_limit_ppm {
        faults.push(Fault { says: format!("{who} for a scale that differs by {:.1} %", gps.scale_ppm / 1e4), remedy });
    }
    if gps.rotation_mrad.abs() > gps.rotation_limit_mrad {
        let degrees = (gps.rotation_mrad / 1e3).to_degrees();
        faults.push(Fault { says: format!("{who} for a turn by {degrees:.1}°"), remedy });
    }
}

/// Control points decide; GPS still knows when they belong to another system.
fn gps_beside_control(gps: &GpsAgreement, faults: &mut Vec<Fault>, notes: &mut Vec<String>) {
    let shift = gps.east.mean_m.hypot(gps.north.mean_m);
    if shift > DATUM_STEP_M + 4.0 * gps.sigma_horizontal_m {
        faults.push(Fault {
            says: format!("control points lie {shift:.0} m away from where GPS puts them"),
            remedy: "Check the coordinate system named in the file of control points, and the order of its axes.",
        });
    } else if shift > 4.0 * gps.sigma_horizontal_m {
        notes.push(format!("GPS is {shift:.1} m beside the control points; the control points were followed"));
    }
    if gps.up.mean_m.abs() > DATUM_STEP_M {
        let up = -gps.up.mean_m;
        notes.push(format!(
            "GPS heights are {up:+.1} m from those of the control points, whose zero the heights follow"
        ));
    }
    outliers(gps, notes);
    scale_and_turn(gps, "beside the control points, GPS asks", faults);
}

fn lenses(report: &Report, faults: &mut Vec<Fault>, notes: &mut Vec<String>) {
    for camera in &report.cameras {
        let change = camera.focal_change_percent;
        if change.abs() > FOCAL_REFUSED_PERCENT {
            faults.push(Fault {
                says: format!("the focal length left the EXIF's by {change:.0} %"),
                remedy: "Check that the photos are as the camera wrote them, not cropped or resized; fly a second height or cross strips.",
            });
        } else if change.abs() > FOCAL_NOTE_PERCENT {
            notes.push(format!(
                "the focal length of {} was adjusted by {change:+.1} % from the EXIF's: heights may be off by as much",
                camera.camera
            ));
        }
    }
    let Some(relative) = report.relative_altitude_m.filter(|height| *height > 0.0) else { return };
    let share = report.height_above_ground_m / relative - 1.0;
    let main =
        report.cameras.iter().max_by_key(|camera| camera.photos).map_or(0.0, |camera| camera.focal_change_percent);
    let heights = format!(
        "the cameras are {:.1} m above the ground, by the aircraft {relative:.1} m",
        report.height_above_ground_m
    );
    if share.abs() > HEIGHT_REFUSED_SHARE && main / 100.0 * share.signum() > 0.5 * share.abs() {
        faults.push(Fault {
            says: format!("{heights}, and the focal length went along ({main:+.0} %): heights are out of scale"),
            remedy: "Give control points with heights (--gcp), or fly a second height or cross strips, so that the focal length can be seen.",
        });
    } else if share.abs() > HEIGHT_NOTE_SHARE {
        notes.push(format!("{heights}: it took off from another height, or its altitudes are wrong"));
    }
}

fn control(report: &Report, faults: &mut Vec<Fault>, notes: &mut Vec<String>) {
    let limit = |axis: usize| (CONTROL_LIMIT_PX[axis] * report.gsd_m).max(CONTROL_FLOOR_M[axis]);
    for point in &report.control_points {
        let off = [point.horizontal_m(), point.up_m.abs()];
        if off[0] > limit(0) || off[1] > limit(1) {
            faults.push(Fault {
                says: format!("control point {} is {:.2} m off in plan and {:.2} m in height", point.name, off[0], off[1]),
                remedy: "Look at the marks and coordinates of the control points that are off; mark them again or leave them out.",
            });
        }
    }
    match report.control_points.len() {
        0 => {}
        count @ 1..ENOUGH_CONTROL => {
            notes.push(format!("{count} control points move the block but do not turn or scale it: three are needed"));
        }
        _ if report.check_points.is_empty() => {
            notes.push("no check points: nothing independent says how exact it is".to_owned());
        }
        _ => {}
    }
}

fn checks(report: &Report, faults: &mut Vec<Fault>, notes: &mut Vec<String>) {
    let Some(check) = &report.check_rmse else { return };
    let pixels = CHECK_LIMIT_PX.map(|pixels| pixels * report.gsd_m);
    let control: Option<&SurveyRmse> = report.control_rmse.as_ref().filter(|rmse| rmse.points >= ENOUGH_CONTROL);
    if let Some(control) = control {
        let limits = [
            pixels[0].max(CHECK_TIMES_CONTROL * control.horizontal_m),
            pixels[1].max(CHECK_TIMES_CONTROL * control.up_m),
        ];
        if check.horizontal_m > limits[0] || check.up_m > limits[1] {
            faults.push(Fault {
                says: format!(
                    "check points are off by {:.2} m in plan and {:.2} m in height, control points by {:.2} m and {:.2} m",
                    check.horizontal_m, check.up_m, control.horizontal_m, control.up_m
                ),
                remedy: "Look for a point that is marked or surveyed wrongly; add control points around the flight and in its middle.",
            });
        }
        return;
    }
    let sigma_m = report.gps.as_ref().map_or(0.0, |gps| gps.sigma_horizontal_m);
    let limit = pixels[0].max(CHECK_GPS_SIGMAS * sigma_m);
    if check.horizontal_m > limit {
        faults.push(Fault {
            says: format!("check points are off by {:.2} m in plan, GPS is good to {sigma_m:.2} m", check.horizontal_m),
            remedy: "Use the surveyed points as control points, and check their coordinate system.",
        });
    }
    if check.up_m > pixels[1].max(CHECK_GPS_SIGMAS * report.gps.as_ref().map_or(0.0, |gps| gps.sigma_vertical_m)) {
        notes.push(format!(
            "check points are {:.1} m off in height: GPS and the survey may count from different zeros",
            check.up_m
        ));
    }
}

fn fit(report: &Report, notes: &mut Vec<String>) {
    if report.reprojection_rmse_px > POOR_FIT_PX {
        notes.push(format!(
            "the photos fit each other within {:.1} px only: blurred photos, a rolling shutter or moving water",
            report.reprojection_rmse_px
        ));
    }
}

#[cfg(test)]
mod tests;
