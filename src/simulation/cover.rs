//! Says of each place whether a photo sees it and what it is made of, for whoever judges coverage and colours.

use rayon::prelude::*;

use super::{
    Result,
    camera::{Camera, TruePose},
    canvas::Canvas,
    flight::Shot,
    landscape::Material,
    photo::Studio,
    truth::{Scene, Sheet},
};
use crate::raster::{CogOptions, CogWriter, Compression};

/// Side of a cell in pixels of the orthophoto.
pub(crate) const CELL_PX: usize = 4;

/// A cell whose middle lies this near a photo's border is not seen: nobody can interpolate there.
const BORDER_PX: f64 = 1.0;

/// Writes the cover: red is 255 where at least one photo sees the middle of a cell, green on open ground (no water, roof,
/// crown or reed), blue on water; without data where no photo was planned to look.
pub(crate) fn write(scene: &Scene<'_>, path: &std::path::Path) -> Result<()> {
    let sheet = Sheet::of(scene, scene.plan.gsd_m * CELL_PX as f64)?;
    let options = CogOptions { compression: Compression::Deflate, ..CogOptions::default() };
    let mut writer = CogWriter::create(path, sheet.size, sheet.transform, scene.plan.site.crs, options)?;
    let with_reach = |shot| (shot, reach(shot, &scene.plan.cameras[shot.camera]));
    let shots: Vec<(&Shot, f64)> = scene.plan.shots.iter().map(with_reach).collect();
    let (canvas, studios) = (scene.canvas, scene.studios);
    sheet.for_each_strip(scene, |at, size, positions| {
        let cells: Vec<Option<[u8; 3]>> =
            positions.par_iter().map(|position| position.map(|at| cell(canvas, studios, &shots, at))).collect();
        let rgb: Vec<u8> = cells.iter().flat_map(|cell| cell.unwrap_or_default()).collect();
        let mask: Vec<u8> = cells.iter().map(|cell| if cell.is_some() { 255 } else { 0 }).collect();
        Ok(writer.write_rgb(at, size, &rgb, &mask)?)
    })?;
    Ok(writer.finish()?)
}

fn cell(canvas: &Canvas, studios: &[Studio<'_>], shots: &[(&Shot, f64)], position: [f64; 2]) -> [u8; 3] {
    let (Some(height), Some((_, material))) = (canvas.height_at(position), canvas.tallest(position)) else {
        return [0; 3];
    };
    let [e, n] = canvas.place(position);
    let sees = |(shot, reach): &(&Shot, f64)| {
        (e - shot.pose.enu[0]).hypot(n - shot.pose.enu[1]) < *reach
            && studios[shot.camera].sees(shot, [e, n, f64::from(height)], BORDER_PX).is_some()
    };
    let seen = shots.iter().any(sees);
    let water = matches!(material, Material::Water | Material::OpenWater);
    [seen, material == Material::Ground, water].map(|yes| if yes { 255 } else { 0 })
}

/// Returns how far from below the camera a shot sees, in metres: to its farthest corner, on the lowest ground there is.
fn reach(shot: &Shot, camera: &Camera) -> f64 {
    let (w, h) = (camera.width as f64, camera.height as f64);
    let corners = [[0.0, 0.0], [w, 0.0], [0.0, h], [w, h]];
    let of = |pixel: [f64; 2]| {
        let pose: TruePose = shot.pose_at(pixel[1], camera);
        let [right, down, forward] = pose.axes();
        let [u, v] = camera.ray(pixel);
        let ray: [f64; 3] = std::array::from_fn(|i| right[i] * u + down[i] * v + forward[i]);
        (pose.enu[2] + LOWEST_M) / (-ray[2]).max(1e-3) * ray[0].hypot(ray[1])
    };
    // The few centimetres that the drone flies during the exposure are less than what the lowest ground adds.
    corners.map(of).into_iter().fold(0.0, f64::max)
}

/// No ditch is deeper below the land.
const LOWEST_M: f64 = 2.0;
