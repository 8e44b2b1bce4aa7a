//! Writes down what is really there, beside the photos.
//!
//! Every file says its coordinate system, units and pixel origin. Heights are ellipsoidal (WGS 84), in metres;
//! pixel (0, 0) is the top-left corner of the top-left pixel.

use std::{fmt::Write as _, path::Path};

use serde_json::{Value, json};

use super::{
    Result,
    camera::Camera,
    canvas::Canvas,
    cover,
    flight::Shot,
    photo::Studio,
    run::{Plan, write_whole},
};
use crate::{
    raster::{CogOptions, CogWriter, Compression, DEM_NODATA, DemWriter},
    spatial::{Bbox, Crs, GeoTransform, Projection},
};

/// A GCP is of use when this many photos show it.
const LEAST_SIGHTINGS: usize = 3;

/// A flight, and the land as it was photographed.
pub(crate) struct Scene<'a> {
    pub plan: &'a Plan,
    pub canvas: &'a Canvas,
    /// One for each camera.
    pub studios: &'a [Studio<'a>],
}

pub(crate) struct Counts {
    pub gcps: usize,
    pub check_points: usize,
}

/// Writes `objects.geojson`, `scenery.geojson`, `check_points.csv`, `ortho.tif`, `dsm.tif` and `cover.tif` into a
/// folder, and the list of GCPs for the software that stitches.
pub(crate) fn write(scene: &Scene<'_>, folder: &Path, gcp_list: &Path) -> Result<Counts> {
    write_whole(&folder.join("objects.geojson"), pretty(&objects(scene)).as_bytes())?;
    write_whole(&folder.join("scenery.geojson"), pretty(&scenery(scene)).as_bytes())?;
    let (check_points, points) = check_points(scene)?;
    write_whole(&folder.join("check_points.csv"), check_points.as_bytes())?;
    let (list, gcps) = gcps(scene)?;
    write_whole(gcp_list, list.as_bytes())?;
    write_ortho(scene, &folder.join("ortho.tif"))?;
    write_dsm(scene, &folder.join("dsm.tif"))?;
    cover::write(scene, &folder.join("cover.tif"))?;
    Ok(Counts { gcps, check_points: points })
}

fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("a JSON value is always written");
    text.push('\n');
    text
}

/// Returns the content of `cameras.json`: the camera, and the true pose of each photo.
///
/// What only some profiles have (a second camera, rows that are read one after the other) stands in fields of its own,
/// so that the file of a standard flight is the same as before there were profiles.
pub(crate) fn cameras(plan: &Plan) -> Result<String> {
    let photos: Vec<Value> = plan
        .shots
        .iter()
        .map(|shot| {
            let pose = &shot.pose;
            let [lon, lat, height] = plan.site.to_lonlat(pose.enu);
            let [x, y, _] = plan.site.to_grid(pose.enu)?;
            let mut photo = json!({
                "name": shot.name,
                "strip": shot.strip,
                "taken_at": shot.taken_at.to_rfc3339(),
                "lonlat": [lon, lat],
                "ellipsoidal_height_m": height,
                "utm": [x, y, height],
                "enu": pose.enu,
                "yaw_deg": pose.yaw_deg,
                "pitch_deg": pose.pitch_deg,
                "roll_deg": pose.roll_deg,
                "enu_to_camera": pose.axes(),
                "gain": shot.gain,
            });
            if plan.cameras.len() > 1 {
                photo["camera"] = json!(shot.camera);
            }
            if plan.conditions.readout_s > 0.0 {
                photo["motion"] = json!(shot.motion);
            }
            Ok(photo)
        })
        .collect::<Result<_>>()?;
    let mut all = json!({
        "about": {
            "seed": plan.seed,
            "gps": plan.gps,
            "gsd_m": plan.gsd_m,
            "height_above_ground_m": plan.layout.height_m,
            "crs": "EPSG:4326 (longitude, latitude in degrees)",
            "utm_crs": plan.site.crs.to_string(),
            "heights": "metres above the WGS 84 ellipsoid",
            "enu": "metres east, north, up from the origin",
            "enu_origin": plan.site.origin,
            "angles": "degrees; yaw clockwise from true north, pitch -90 looks straight down, roll about the view",
            "enu_to_camera": "rows: right, down, forward of the camera, each in east, north, up",
            "pixels": "(0, 0) is the top-left corner of the top-left pixel",
        },
        "camera": camera(&plan.cameras[0]),
        "photos": photos,
    });
    if !plan.profiles.is_empty() {
        all["about"]["profiles"] = json!(plan.profiles);
        all["about"]["falloff"] = json!(plan.conditions.falloff);
        all["about"]["falloff_is"] =
            json!("light at r focal lengths from the axis: (1 + r^2)^-falloff, times the photo's gain");
    }
    if plan.cameras.len() > 1 {
        all["cameras"] = plan.cameras.iter().map(camera).collect();
        all["about"]["cameras"] = json!("a photo's camera is its place in this list; `camera` is the first");
    }
    if plan.conditions.readout_s > 0.0 {
        all["about"]["poses"] = json!("in the middle of the exposure");
        all["about"]["motion"] = json!(
            "east, north, up in metres a second; yaw, pitch, roll in degrees a second; \
             at pixel row y of h the camera is where it is readout_s * (y / h - 0.5) seconds later"
        );
    }
    Ok(pretty(&all))
}

fn camera(camera: &Camera) -> Value {
    let mut described = json!({
        "model": "brown",
        "width": camera.width,
        "height": camera.height,
        "focal_px": camera.focal_px,
        "cx_px": camera.centre[0],
        "cy_px": camera.centre[1],
        "k1": camera.radial[0],
        "k2": camera.radial[1],
        "k3": camera.radial[2],
        "p1": camera.tangential[0],
        "p2": camera.tangential[1],
        "distortion": "OpenCV's order and signs, on normalised coordinates",
    });
    if camera.readout_s > 0.0 {
        described["readout_s"] = json!(camera.readout_s);
    }
    described
}

fn objects(scene: &Scene<'_>) -> Value {
    let features: Vec<Value> = scene
        .plan
        .landscape
        .objects()
        .iter()
        .enumerate()
        .map(|(index, object)| {
            let lonlat = |[e, n]: [f64; 2]| {
                let up = scene.plan.landscape.height(e, n);
                let [lon, lat, _] = scene.plan.site.to_lonlat([e, n, up]);
                [rounded(lon), rounded(lat)]
            };
            let ring: Vec<[f64; 2]> = object.ring.iter().copied().map(lonlat).collect();
            json!({
                "type": "Feature",
                "id": index + 1,
                "geometry": { "type": "Polygon", "coordinates": [ring] },
                "properties": {
                    "class": object.class,
                    "centre": lonlat(object.centre),
                    "photos": sightings(scene, object.centre).len(),
                },
            })
        })
        .collect();
    json!({
        "type": "FeatureCollection",
        "about": {
            "seed": scene.plan.seed,
            "crs": "EPSG:4326 (WGS 84, longitude, latitude in degrees)",
            "gsd_m": scene.plan.gsd_m,
            "photos": "how many photos show the middle of the object",
        },
        "features": features,
    })
}

/// What hides the ground, or leans in an orthophoto.
fn scenery(scene: &Scene<'_>) -> Value {
    let feature = |(kind, mut ring, height_m): (&str, Vec<[f64; 2]>, f32)| {
        ring.push(ring[0]);
        let lonlat = |[e, n]: [f64; 2]| {
            let [lon, lat, _] = scene.plan.site.to_lonlat([e, n, 0.0]);
            [rounded(lon), rounded(lat)]
        };
        let ring: Vec<[f64; 2]> = ring.into_iter().map(lonlat).collect();
        json!({
            "type": "Feature",
            "geometry": { "type": "Polygon", "coordinates": [ring] },
            "properties": { "kind": kind, "height_m": height_m },
        })
    };
    json!({
        "type": "FeatureCollection",
        "about": { "crs": "EPSG:4326 (WGS 84, longitude, latitude in degrees)", "height_m": "metres above the ground" },
        "features": scene.plan.landscape.scenery().map(feature).collect::<Vec<_>>(),
    })
}

/// Ten decimals of a degree are a hundredth of a millimetre.
fn rounded(degrees: f64) -> f64 {
    (degrees * 1e10).round() / 1e10
}

/// Returns the photos that show a place on the surface, and where.
fn sightings<'a>(scene: &'a Scene<'_>, [e, n]: [f64; 2]) -> Vec<(&'a Shot, [f64; 2])> {
    let place = [e, n, scene.plan.landscape.height(e, n)];
    let find = |shot: &'a Shot| Some((shot, scene.studios[shot.camera].find(shot, place)?));
    scene.plan.shots.iter().filter_map(find).collect()
}

fn check_points(scene: &Scene<'_>) -> Result<(String, usize)> {
    let crs = scene.plan.site.crs;
    let mut text = format!(
        "# lon_deg, lat_deg: EPSG:4326. x_m, y_m: {crs}. Heights: metres above the WGS 84 ellipsoid.\n\
         # kind: target (painted, also in gcp_list.txt), ground, dike, road, roof. photos: how many show the point.\n\
         id,kind,lon_deg,lat_deg,ellipsoidal_height_m,x_m,y_m,photos\n"
    );
    let mut count = 0;
    for mark in scene.plan.landscape.marks() {
        let seen = sightings(scene, mark.place).len();
        if seen == 0 {
            continue;
        }
        count += 1;
        let [e, n] = mark.place;
        let enu = [e, n, scene.plan.landscape.height(e, n)];
        let [lon, lat, height] = scene.plan.site.to_lonlat(enu);
        let [x, y, _] = scene.plan.site.to_grid(enu)?;
        let kind = mark.kind;
        writeln!(text, "{kind}-{count},{kind},{lon:.10},{lat:.10},{height:.4},{x:.4},{y:.4},{seen}")
            .expect("writing to a string succeeds");
    }
    Ok((text, count))
}

/// Returns `OpenDroneMap`'s list: the system on the first line, then `x y z px py photo gcp`.
fn gcps(scene: &Scene<'_>) -> Result<(String, usize)> {
    let mut text = format!("{}\n", scene.plan.site.crs);
    let mut count = 0;
    for mark in scene.plan.landscape.marks().iter().filter(|mark| mark.kind == "target") {
        let seen = sightings(scene, mark.place);
        if seen.len() < LEAST_SIGHTINGS {
            continue;
        }
        count += 1;
        let [e, n] = mark.place;
        let [x, y, z] = scene.plan.site.to_grid([e, n, scene.plan.landscape.height(e, n)])?;
        for (shot, [px, py]) in seen {
            writeln!(text, "{x:.4} {y:.4} {z:.4} {px:.2} {py:.2} {} gcp-{count}", shot.name)
                .expect("writing to a string succeeds");
        }
    }
    Ok((text, count))
}

/// Writes the landscape as a perfect orthophoto at the flight's GSD, lossless.
fn write_ortho(scene: &Scene<'_>, path: &Path) -> Result<()> {
    let sheet = Sheet::of(scene, scene.plan.gsd_m)?;
    let options = CogOptions { compression: Compression::Deflate, ..CogOptions::default() };
    let mut writer = CogWriter::create(path, sheet.size, sheet.transform, scene.plan.site.crs, options)?;
    sheet.for_each_strip(scene, |at, size, positions| {
        let mut rgb = Vec::with_capacity(positions.len() * 3);
        let mut mask = Vec::with_capacity(positions.len());
        for position in positions {
            let colour = position.and_then(|position| scene.canvas.colour(position));
            mask.push(if colour.is_some() { 255 } else { 0 });
            rgb.extend(colour.unwrap_or_default().map(|c| (c + 0.5) as u8));
        }
        Ok(writer.write_rgb(at, size, &rgb, &mask)?)
    })?;
    Ok(writer.finish()?)
}

/// Writes the heights of what a drone sees, on a grid four times as coarse as the orthophoto's.
fn write_dsm(scene: &Scene<'_>, path: &Path) -> Result<()> {
    let sheet = Sheet::of(scene, scene.plan.gsd_m * 4.0)?;
    let mut writer = DemWriter::create(path, sheet.size, sheet.transform, scene.plan.site.crs)?;
    let land = scene.plan.site.origin[2] as f32;
    sheet.for_each_strip(scene, |at, size, positions| {
        let height = |position: &Option<[f64; 2]>| position.and_then(|p| scene.canvas.height_at(p)).map(|h| h + land);
        let heights: Vec<f32> = positions.iter().map(|position| height(position).unwrap_or(DEM_NODATA)).collect();
        Ok(writer.write(at, size, &heights)?)
    })?;
    Ok(writer.finish()?)
}

/// A north-up raster over what the photos see.
pub(crate) struct Sheet {
    pub size: [usize; 2],
    pub transform: GeoTransform,
    /// Half of what is seen, along and across the dike.
    half: [f64; 2],
}

impl Sheet {
    const STRIP: usize = 256;

    pub(crate) fn of(scene: &Scene<'_>, gsd_m: f64) -> Result<Self> {
        let half = scene.plan.layout.seen_m().map(|side| side / 2.0);
        let axis = scene.plan.landscape.axis();
        let corners = [[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]].map(|[a, b]: [f64; 2]| {
            let (s, t) = (a * half[0], b * half[1]);
            scene.plan.site.to_grid([s * axis[0] - t * axis[1], s * axis[1] + t * axis[0], 0.0]).map(|[x, y, _]| [x, y])
        });
        let corners = corners.into_iter().collect::<Result<Vec<_>>>()?;
        let bounds = Bbox::of(corners).expect("a rectangle has corners");
        // On whole multiples of the GSD, so that two flights over one place lie pixel on pixel.
        let snap = |v: f64| (v / gsd_m).floor();
        let (west, north) = (snap(bounds.west), snap(bounds.north) + 1.0);
        let size = [snap(bounds.east) + 1.0 - west, north - snap(bounds.south)].map(|side| side as usize);
        Ok(Self { size, transform: GeoTransform::north_up([west * gsd_m, north * gsd_m], gsd_m), half })
    }

    /// Calls `write` with each strip's place, its size, and the position of each pixel's centre on the canvas.
    pub(crate) fn for_each_strip(
        &self,
        scene: &Scene<'_>,
        mut write: impl FnMut([usize; 2], [usize; 2], &[Option<[f64; 2]>]) -> Result<()>,
    ) -> Result<()> {
        let back = Projection::new(scene.plan.site.crs, Crs::WGS84)?;
        let place = |pixel: [f64; 2]| -> Result<[f64; 2]> {
            let [lon, lat] = back.forward(self.transform.pixel_to_ground(pixel))?;
            let [e, n, _] = scene.plan.site.to_enu([lon, lat, scene.plan.site.origin[2]]);
            Ok([e, n])
        };
        let axis = scene.plan.landscape.axis();
        for top in (0..self.size[1]).step_by(Self::STRIP) {
            let rows = Self::STRIP.min(self.size[1] - top);
            let mut positions = vec![None; self.size[0] * rows];
            for left in (0..self.size[0]).step_by(Self::STRIP) {
                let columns = Self::STRIP.min(self.size[0] - left);
                // Over thirty metres of ground the grid bends by a fraction of a millimetre: a square is filled between its
                // corners.
                let (x0, x1) = (left as f64, (left + columns) as f64);
                let (y0, y1) = (top as f64, (top + rows) as f64);
                let corners = [place([x0, y0])?, place([x1, y0])?, place([x0, y1])?, place([x1, y1])?];
                for row in 0..rows {
                    for column in 0..columns {
                        let (u, v) = ((column as f64 + 0.5) / columns as f64, (row as f64 + 0.5) / rows as f64);
                        let [e, n] = between(&corners, u, v);
                        let (s, t) = (e * axis[0] + n * axis[1], n * axis[0] - e * axis[1]);
                        if s.abs() <= self.half[0] && t.abs() <= self.half[1] {
                            positions[row * self.size[0] + left + column] = Some(scene.canvas.position([e, n]));
                        }
                    }
                }
            }
            write([0, top], [self.size[0], rows], &positions)?;
        }
        Ok(())
    }
}

fn between(corners: &[[f64; 2]; 4], u: f64, v: f64) -> [f64; 2] {
    std::array::from_fn(|i| {
        let top = corners[0][i] * (1.0 - u) + corners[1][i] * u;
        let bottom = corners[2][i] * (1.0 - u) + corners[3][i] * u;
        top * (1.0 - v) + bottom * v
    })
}
