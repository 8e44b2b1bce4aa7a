//! Which photos saw a place best, and where on them it is.
//!
//! Best is steepest: what stands up leans least, and is nearest to the lens. A place behind a roof may still be claimed
//! by a photo that has the roof before it; the second and the third best photo are kept for that.

use std::path::Path;

use nalgebra::{Vector2, Vector3};
use rstar::{
    AABB, RTree,
    primitives::{GeomWithData, Rectangle},
};

use super::{
    Error, Result,
    cameras::{Cameras, Pose},
};
use crate::{
    database::Sighting,
    raster::{HeightRaster, Window},
    spatial::{Crs, LocalFrame, Projection},
};

/// How many photos are named.
const MOST: usize = 3;

/// What stands up or lies low is seen from beside what the photo shows of level ground: by so much of that.
const MARGIN: f64 = 0.25;

/// The photos of an orthophoto, ready to be asked.
pub(super) struct Photos {
    cameras: Cameras,
    frame: LocalFrame,
    /// The level ground that each photo shows, metres east and north.
    shown: RTree<GeomWithData<Rectangle<[f64; 2]>, usize>>,
    heights: Option<Heights>,
}

struct Heights {
    raster: HeightRaster,
    from_lonlat: Projection,
}

impl Photos {
    /// `heights` are those of the surface, above the ellipsoid as the cameras' are.
    ///
    /// # Errors
    /// [`Error::Raster`], [`Error::Spatial`] when the heights cannot be read.
    pub(super) fn new(cameras: Cameras, heights: Option<&Path>) -> Result<Self> {
        let heights = heights.map(Heights::open).transpose()?;
        let frame = cameras.local_frame();
        let ground_m = cameras.ground_height_m - frame.to_lonlat([0.0; 3])[2];
        let boxes = cameras.photos.iter().enumerate();
        let boxes = boxes.map(|(index, photo)| GeomWithData::new(shown(&cameras, photo, ground_m), index)).collect();
        Ok(Self { frame, shown: RTree::bulk_load(boxes), cameras, heights })
    }

    /// The names of all photos, in the order in which [`Sighting::photo`] counts them.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.cameras.photos.iter().map(|photo| photo.name.as_str())
    }

    /// Returns the photos that see a place (longitude, latitude) best, best first.
    ///
    /// # Errors
    /// [`Error::Raster`], [`Error::Spatial`] when its height cannot be read.
    pub(super) fn best(&self, lonlat: [f64; 2]) -> Result<Vec<Sighting>> {
        let height_m = match &self.heights {
            Some(heights) => heights.at(lonlat)?.map(|height| height + self.cameras.surface_offset_m),
            None => None,
        };
        let height_m = height_m.unwrap_or(self.cameras.ground_height_m);
        let place = Vector3::from(self.frame.to_enu([lonlat[0], lonlat[1], height_m]));
        let around = AABB::from_point([place.x, place.y]);
        let mut seen: Vec<(f64, usize, [f64; 2])> = self
            .shown
            .locate_in_envelope_intersecting(&around)
            .filter_map(|found| {
                let (pixel, slant) = self.cameras.see(&self.cameras.photos[found.data], &place)?;
                Some((slant, found.data, pixel))
            })
            .collect();
        seen.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        seen.truncate(MOST);
        let sighting = |(_, photo, pixel): (f64, usize, [f64; 2])| Sighting {
            photo: photo as i32,
            pixel: pixel.map(|at| at as f32),
        };
        Ok(seen.into_iter().map(sighting).collect())
    }
}

/// The box around what a photo shows of level ground, with a margin; one that looks at the horizon shows everything near.
fn shown(cameras: &Cameras, photo: &Pose, ground_m: f64) -> Rectangle<[f64; 2]> {
    let (camera, centre) = (cameras.camera(photo), photo.centre_m);
    let mut bounds = [centre[0], centre[1], centre[0], centre[1]];
    for corner in [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, 0.0], [0.5, 1.0], [0.0, 0.5], [1.0, 0.5]] {
        let pixel = Vector2::new(corner[0] * camera.width_px, corner[1] * camera.height_px);
        let ray = camera.unproject(&pixel);
        let r = &photo.rotation;
        let along = |axis: usize| r[0][axis] * ray.x + r[1][axis] * ray.y + r[2][axis];
        let direction = Vector3::new(along(0), along(1), along(2));
        // A ray to the horizon is cut at five times the height.
        let reach = (centre[2] - ground_m) / (-direction.z).max(0.2 * direction.norm());
        let (east, north) = (centre[0] + reach * direction.x, centre[1] + reach * direction.y);
        bounds = [bounds[0].min(east), bounds[1].min(north), bounds[2].max(east), bounds[3].max(north)];
    }
    let margin = MARGIN * (bounds[2] - bounds[0]).max(bounds[3] - bounds[1]);
    Rectangle::from_corners([bounds[0] - margin, bounds[1] - margin], [bounds[2] + margin, bounds[3] + margin])
}

impl Heights {
    fn open(path: &Path) -> Result<Self> {
        let raster = HeightRaster::open(path)?;
        let from_lonlat = Projection::new(Crs::WGS84, raster.crs())?;
        Ok(Self { raster, from_lonlat })
    }

    /// The height of the cell in which a place lies; nothing where it is not known.
    fn at(&self, lonlat: [f64; 2]) -> Result<Option<f64>> {
        let [x, y] = self.raster.geo_transform().ground_to_pixel(self.from_lonlat.forward(lonlat)?)?;
        let window = Window { x: x.floor() as isize, y: y.floor() as isize, width: 1, height: 1 };
        let height = self.raster.read(window).map_err(Error::from)?[0];
        Ok(height.is_finite().then_some(f64::from(height)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pipeline::cameras::testing::looking_down, raster::DemWriter, spatial::GeoTransform};

    const HERE: [f64; 2] = [5.1, 52.0];

    #[test]
    fn the_steepest_photo_comes_first_and_those_that_do_not_see_it_never() {
        let photos = Photos::new(looking_down(&[[30.0, 0.0], [5.0, 0.0], [400.0, 0.0], [-12.0, 3.0]]), None).unwrap();
        let seen = photos.best(HERE).unwrap();
        assert_eq!(seen.iter().map(|seen| seen.photo).collect::<Vec<_>>(), [1, 3, 0]);
        assert!((seen[0].pixel[0] - 1750.0).abs() < 0.01 && (seen[0].pixel[1] - 1500.0).abs() < 0.01, "{seen:?}");
    }

    #[test]
    fn what_stands_up_is_looked_for_where_its_height_puts_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dsm.tif");
        // A roof 10 m above the ground on 43 m, all around the place.
        let place = GeoTransform::north_up([5.0999, 52.0001], 0.00001);
        let mut writer = DemWriter::create(&path, [20, 20], place, Crs::WGS84).unwrap();
        writer.write([0, 0], [20, 20], &[53.0; 400]).unwrap();
        writer.finish().unwrap();
        let photos = Photos::new(looking_down(&[[8.0, 0.0]]), Some(&path)).unwrap();
        let pixel = photos.best(HERE).unwrap()[0].pixel;
        assert!((pixel[0] - (2000.0 - 8.0 * 2500.0 / 40.0)).abs() < 0.01, "{pixel:?}");
    }
}
