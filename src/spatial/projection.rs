//! From one coordinate system to another.
//!
//! All conversions of polder go through this one place, and so through one PROJ pipeline: GDAL's choice for
//! the pair of codes, without grids from the network. For RD New (EPSG:28992) on a system without the RDNAP
//! grids this is the seven-parameter transformation, within about 0.25 m of RDNAPTRANS.

use gdal::spatial_ref::{AxisMappingStrategy, CoordTransform, SpatialRef};

use super::{Crs, Error, Result};

/// A conversion between two coordinate systems. Not shared between threads: make one for each.
pub struct Projection {
    from: Crs,
    to: Crs,
    /// `None` when both systems are the same.
    transform: Option<CoordTransform>,
}

impl Projection {
    /// Prepares the conversion.
    ///
    /// # Errors
    /// [`Error::UnknownCrs`] when PROJ does not know one of the codes or has no way between them.
    pub fn new(from: Crs, to: Crs) -> Result<Self> {
        if from == to {
            return Ok(Self { from, to, transform: None });
        }
        let transform = CoordTransform::new(&spatial_ref(from)?, &spatial_ref(to)?)
            .map_err(|e| Error::UnknownCrs { epsg: to.epsg(), reason: e.to_string() })?;
        Ok(Self { from, to, transform: Some(transform) })
    }

    /// Converts one point, `[x, y]`.
    ///
    /// # Errors
    /// [`Error::Projection`] when the point lies outside the area where the systems are defined.
    pub fn forward(&self, point: [f64; 2]) -> Result<[f64; 2]> {
        let mut points = [point];
        self.forward_many(&mut points)?;
        Ok(points[0])
    }

    /// Converts points (`[x, y]`) in place.
    ///
    /// # Errors
    /// [`Error::Projection`] when a point lies outside the area where the systems are defined.
    pub fn forward_many(&self, points: &mut [[f64; 2]]) -> Result<()> {
        let Some(transform) = &self.transform else { return Ok(()) };
        let (mut xs, mut ys): (Vec<f64>, Vec<f64>) = points.iter().map(|p| (p[0], p[1])).unzip();
        let fault = |[x, y]: [f64; 2], reason: String| Error::Projection {
            x,
            y,
            from: self.from.epsg(),
            to: self.to.epsg(),
            reason,
        };
        transform
            .transform_coords(&mut xs, &mut ys, &mut [])
            .map_err(|e| fault(points.first().copied().unwrap_or_default(), e.to_string()))?;
        for ((point, x), y) in points.iter_mut().zip(xs).zip(ys) {
            if !(x.is_finite() && y.is_finite()) {
                return Err(fault(*point, "the point is outside the area of the coordinate system".to_owned()));
            }
            *point = [x, y];
        }
        Ok(())
    }
}

fn spatial_ref(crs: Crs) -> Result<SpatialRef> {
    let mut srs =
        SpatialRef::from_epsg(crs.epsg()).map_err(|e| Error::UnknownCrs { epsg: crs.epsg(), reason: e.to_string() })?;
    srs.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
    Ok(srs)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The central meridian of zone 31 is 3° east, where easting is 500 km; northing 0 is the equator.
    #[test]
    fn x_is_longitude_and_easting() {
        let utm = Projection::new(Crs::WGS84, Crs::from_epsg(32631)).unwrap();
        let [x, y] = utm.forward([3.0, 0.0]).unwrap();
        assert!((x - 500_000.0).abs() < 1e-3 && y.abs() < 1e-3, "{x} {y}");
        let [lon, lat] = Projection::new(Crs::from_epsg(32631), Crs::WGS84).unwrap().forward([x, y]).unwrap();
        assert!((lon - 3.0).abs() < 1e-9 && lat.abs() < 1e-9);
    }

    /// Amersfoort's tower is the origin of the Dutch grid: 155 km, 463 km.
    #[test]
    fn the_dutch_grid_has_its_origin_in_amersfoort() {
        let rd = Projection::new(Crs::WGS84, Crs::RD_NEW).unwrap();
        let [x, y] = rd.forward([5.387_206_21, 52.155_174_40]).unwrap();
        assert!((x - 155_000.0).abs() < 1.0 && (y - 463_000.0).abs() < 1.0, "{x} {y}");
    }

    #[test]
    fn an_unknown_code_is_named() {
        let error = Projection::new(Crs::WGS84, Crs::from_epsg(1)).err().unwrap();
        assert!(error.to_string().contains("EPSG:1"), "{error}");
    }
}
