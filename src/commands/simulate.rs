//! `polder simulate`: a synthetic flight with the truth beside it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;

use super::{Outcome, Session};
use crate::simulation;

/// Render a synthetic flight over a dike: photos with EXIF and DJI XMP in `images/`, what is really there in
/// `truth/` (cameras, orthophoto, surface, cover, objects, check points), and `gcp_list.txt` in OpenDroneMap's format.
///
/// The same options give the same files. With --judge nothing is rendered: an orthophoto of the flight in --out is
/// compared with its truth. Two classes are planted: "Muskusrat klem" (a muskrat trap) and
/// "Beschadiging oever" (bank damage).
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Folder to write to; it may not hold another flight
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Judge this orthophoto, made of the flight in --out by whatever program, instead of rendering a flight
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "photos", "width", "height", "gsd", "gps", "profile"])]
    judge: Option<PathBuf>,

    /// With --judge: a folder for pictures, the truth beside the orthophoto and a map of seams and missing ground
    #[arg(long, value_name = "DIR", requires = "judge")]
    pictures: Option<PathBuf>,

    /// Another seed is another dike, season, camera and flight
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Number of photos, in strips along the dike with 80 % overlap forward and 70 % sideways
    #[arg(long, value_name = "N", default_value_t = 24)]
    photos: usize,

    /// Width of a photo in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 1600)]
    width: usize,

    /// Height of a photo in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 1200)]
    height: usize,

    /// Ground sampling distance in metres per pixel; it sets the flying height
    #[arg(long, value_name = "METRES", default_value_t = 0.03)]
    gsd: f64,

    /// How well the drone knows where it is
    #[arg(long, value_enum, default_value_t = GpsArgument::Standard)]
    gps: GpsArgument,

    /// What makes the flight harder; several together as rough,pond
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PROFILE", default_value = "standard")]
    profile: Vec<ProfileArgument>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProfileArgument {
    /// Nothing: a calm day, 80 % and 70 % overlap
    Standard,
    /// Gusts tilt by up to 8 degrees, exposure jumps by up to 25 %, dark corners, altitudes 35 m too high, a poor receiver
    Rough,
    /// Rows are read one after the other over 20 to 30 ms while the drone flies on
    RollingShutter,
    /// A pond of forty metres without features, whose glitter changes from photo to photo
    Pond,
    /// 60 % overlap forward, 40 % sideways
    Thin,
    /// A second drone with a wider lens flies every other strip
    TwoCameras,
    /// The second half is flown 45 minutes later, with another offset and exposure
    TwoFlights,
}

impl ProfileArgument {
    const fn profile(self) -> Option<simulation::Profile> {
        match self {
            Self::Standard => None,
            Self::Rough => Some(simulation::Profile::Rough),
            Self::RollingShutter => Some(simulation::Profile::RollingShutter),
            Self::Pond => Some(simulation::Profile::Pond),
            Self::Thin => Some(simulation::Profile::Thin),
            Self::TwoCameras => Some(simulation::Profile::TwoCameras),
            Self::TwoFlights => Some(simulation::Profile::TwoFlights),
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum GpsArgument {
    /// Wanders by 1.2 m; altitudes have one unknown offset
    Standard,
    /// Right to 2 cm, and says so in the XMP
    Rtk,
}

pub(super) fn run(args: &Args, session: &Session) -> anyhow::Result<Outcome> {
    if let Some(orthophoto) = &args.judge {
        return judge(&args.out, orthophoto, args.pictures.as_deref(), session);
    }
    let options = simulation::Options {
        out: args.out.clone(),
        seed: args.seed,
        photos: args.photos,
        width: args.width,
        height: args.height,
        gsd_m: args.gsd,
        gps: match args.gps {
            GpsArgument::Standard => simulation::Gps::Standard,
            GpsArgument::Rtk => simulation::Gps::Rtk,
        },
        profiles: args.profile.iter().filter_map(|profile| profile.profile()).collect(),
    };
    let bar = session.output.progress(args.photos as u64, "photos");
    let summary = simulation::simulate_with_progress(&options, &|done| bar.set_position(done as u64))
        .with_context(|| format!("cannot simulate a flight into {}", args.out.display()))?;
    bar.finish_and_clear();
    let objects: Vec<String> = summary.objects.iter().map(|(class, count)| format!("{count} × {class}")).collect();
    session.output.say(format!(
        "{} photos in {} ({:.0} m high, {:.1} cm a pixel); planted: {}; the truth is in {}",
        summary.photos,
        summary.images.display(),
        summary.height_above_ground_m,
        summary.gsd_m * 100.0,
        objects.join(", "),
        summary.truth.display(),
    ));
    session.output.event("simulated", &summary);
    Ok(Outcome::Done)
}

fn judge(flight: &Path, orthophoto: &Path, pictures: Option<&Path>, session: &Session) -> anyhow::Result<Outcome> {
    let score = simulation::judge_orthophoto(&flight.join("truth"), orthophoto, pictures)
        .with_context(|| format!("cannot judge {} by the truth of {}", orthophoto.display(), flight.display()))?;
    let output = session.output;
    output.say(format!(
        "{:.3} m from the truth ({:.2} GSD), {:.3} m ({:.2} GSD) after the affine map that fits best: scale {:+.0} ppm, \
         rotation {:+.1} mrad; {} of {} places found, {} outliers, {:.1} % covered",
        score.absolute_rmse_m,
        score.absolute_rmse_gsd,
        score.affine_rmse_m,
        score.affine_rmse_gsd,
        score.scale_ppm,
        score.rotation_mrad,
        score.matched,
        score.tried,
        score.outliers,
        100.0 * score.coverage,
    ));
    for (kind, points) in &score.kinds {
        output.say(format!(
            "  {kind}: {} found, {:.3} m ({:.2} GSD), after the affine map {:.3} m ({:.2} GSD, median {:.2} GSD)",
            points.matched,
            points.absolute_rmse_m,
            points.absolute_rmse_gsd,
            points.affine_rmse_m,
            points.affine_rmse_gsd,
            points.affine_median_gsd,
        ));
    }
    if let Some(gps) = &score.gps {
        output.say(format!(
            "  the recorded positions are {:.2} m off: scale {:+.0} ppm, rotation {:+.1} mrad",
            gps.rmse_m, gps.scale_ppm, gps.rotation_mrad
        ));
        if let Some((metres, gsd)) = gps.ground_rmse_m.zip(gps.ground_rmse_gsd) {
            output.say(format!("  laid over them as well as can be, the ground lies {metres:.3} m ({gsd:.2} GSD) off"));
        }
    }
    if let Some(footprint) = &score.footprint {
        output.say(format!(
            "  {:.2} % of the {:.0} m² that photos saw; {} holes, {:.1} m² in all",
            100.0 * footprint.coverage,
            footprint.area_m2,
            footprint.holes,
            footprint.holes_m2
        ));
    }
    if let Some(radiometry) = &score.radiometry {
        output.say(format!(
            "  brightness off by {:.3} (log rms of what is left of it over a metre); seams {:.4} a metre (p99.9)",
            radiometry.log_rms, radiometry.seam_gradient_p999
        ));
    }
    output.say(format!("  sharpness {:.2} of the truth's", score.sharpness));
    output.event("score", &score);
    Ok(Outcome::Done)
}
