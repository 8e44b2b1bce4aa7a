//! Finds a small picture in a larger one, to a fraction of a pixel.

use crate::raster::Rgba8;

/// Half the side of a patch, in pixels of the truth.
pub(super) const FINE_HALF: usize = 24;
pub(super) const COARSE_HALF: usize = 40;

/// A grey picture; `NaN` where there is no data.
#[derive(Clone, Debug)]
pub(super) struct Grey {
    pub width: usize,
    pub height: usize,
    pub data: Vec<f32>,
}

/// Where a template lies in a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Match {
    /// Pixels right and down from the middle position, which is that of equal centres.
    pub offset: [f64; 2],
    /// Normalised cross-correlation, -1 to 1.
    pub correlation: f64,
}

impl Grey {
    /// Returns the luma of a picture (ITU-R BT.601).
    pub(super) fn of(picture: &Rgba8) -> Self {
        let value = |p: &[u8]| {
            let luma = 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]);
            if p[3] == 0 { f32::NAN } else { luma }
        };
        Self { width: picture.width, height: picture.height, data: picture.data.chunks_exact(4).map(value).collect() }
    }

    pub(super) fn at_centre(&self) -> f32 {
        self.data[self.height / 2 * self.width + self.width / 2]
    }

    /// Returns the value between four pixel centres; `NaN` outside or beside missing data.
    pub(super) fn sample(&self, [x, y]: [f64; 2]) -> f32 {
        let (x, y) = (x - 0.5, y - 0.5);
        if x < 0.0 || y < 0.0 || x >= (self.width - 1) as f64 || y >= (self.height - 1) as f64 {
            return f32::NAN;
        }
        let (i, j) = (x as usize, y as usize);
        let (u, v) = ((x - i as f64) as f32, (y - j as f64) as f32);
        let at = j * self.width + i;
        let upper = self.data[at] * (1.0 - u) + self.data[at + 1] * u;
        let lower = self.data[at + self.width] * (1.0 - u) + self.data[at + self.width + 1] * u;
        upper * (1.0 - v) + lower * v
    }

    /// Returns the picture at a `factor`-th of its size; each pixel is the mean of those it covers.
    pub(super) fn shrunk(&self, factor: usize) -> Self {
        let (width, height) = (self.width / factor, self.height / factor);
        let mut data = Vec::with_capacity(width * height);
        for row in 0..height {
            for column in 0..width {
                let mut sum = 0.0;
                for y in 0..factor {
                    let at = (row * factor + y) * self.width + column * factor;
                    sum += self.data[at..at + factor].iter().sum::<f32>();
                }
                data.push(sum / (factor * factor) as f32);
            }
        }
        Self { width, height, data }
    }

    /// Returns the middle part of a picture.
    pub(super) fn middle(&self, width: usize, height: usize) -> Self {
        let (left, top) = ((self.width - width) / 2, (self.height - height) / 2);
        let rows = (top..top + height).flat_map(|y| &self.data[y * self.width + left..][..width]);
        Self { width, height, data: rows.copied().collect() }
    }

    /// Returns the deviation of the values; `NaN` when some are missing.
    pub(super) fn contrast(&self) -> f32 {
        let count = self.data.len() as f32;
        let mean = self.data.iter().sum::<f32>() / count;
        (self.data.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / count).sqrt()
    }
}

/// Finds the template within `reach` pixels of a position (`near`, an offset between the centres); nothing where
/// the picture has no data, or when the best place lies at the border of the search.
pub(super) fn find(template: &Grey, picture: &Grey, near: [i64; 2], reach: i64) -> Option<Match> {
    let base = [(picture.width - template.width) as i64 / 2, (picture.height - template.height) as i64 / 2];
    let side = (2 * reach + 1) as usize;
    let mut scores = vec![f64::NAN; side * side];
    for (index, score) in scores.iter_mut().enumerate() {
        let left = base[0] + near[0] + (index % side) as i64 - reach;
        let top = base[1] + near[1] + (index / side) as i64 - reach;
        let fits = left >= 0
            && top >= 0
            && left as usize + template.width <= picture.width
            && top as usize + template.height <= picture.height;
        if fits {
            *score = correlation(template, picture, left as usize, top as usize);
        }
    }
    let best = (0..scores.len()).filter(|&i| !scores[i].is_nan()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]))?;
    let (column, row) = (best % side, best / side);
    if column == 0 || row == 0 || column + 1 == side || row + 1 == side {
        return None;
    }
    let x = peak(scores[best - 1], scores[best], scores[best + 1])?;
    let y = peak(scores[best - side], scores[best], scores[best + side])?;
    let offset = [near[0] as f64 + column as f64 - reach as f64 + x, near[1] as f64 + row as f64 - reach as f64 + y];
    Some(Match { offset, correlation: scores[best] })
}

/// Returns where a parabola through three values at -1, 0 and 1 is highest.
fn peak(before: f64, at: f64, after: f64) -> Option<f64> {
    let bend = before - 2.0 * at + after;
    let shift = 0.5 * (before - after) / bend;
    (bend < 0.0 && shift.abs() <= 1.0).then_some(shift)
}

fn correlation(template: &Grey, picture: &Grey, left: usize, top: usize) -> f64 {
    let (mut a, mut b, mut aa, mut bb, mut ab) = (0.0_f32, 0.0_f32, 0.0_f32, 0.0_f32, 0.0_f32);
    for row in 0..template.height {
        let ours = &template.data[row * template.width..][..template.width];
        let theirs = &picture.data[(top + row) * picture.width + left..][..template.width];
        for (x, y) in ours.iter().zip(theirs) {
            a += x;
            b += y;
            aa += x * x;
            bb += y * y;
            ab += x * y;
        }
    }
    let n = template.data.len() as f32;
    let (covariance, va, vb) = (ab - a * b / n, aa - a * a / n, bb - b * b / n);
    f64::from(covariance) / f64::from(va * vb).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::noise::fractal;

    fn texture(size: usize, shift: [f32; 2]) -> Grey {
        let at = |i: usize| fractal([(i % size) as f32 + shift[0], (i / size) as f32 + shift[1]], 6.0, 3, 1);
        Grey { width: size, height: size, data: (0..size * size).map(at).collect() }
    }

    #[test]
    fn a_shift_is_found_to_a_twentieth_of_a_pixel() {
        let (template, picture) = (texture(80, [0.0; 2]).middle(40, 40), texture(80, [-2.35, 4.2]));
        let found = find(&template, &picture, [0, 0], 8).unwrap();
        assert!((found.offset[0] - 2.35).abs() < 0.05 && (found.offset[1] + 4.2).abs() < 0.05, "{found:?}");
        assert!(found.correlation > 0.95);
    }

    #[test]
    fn nothing_is_found_where_data_is_missing() {
        let (template, mut picture) = (texture(40, [0.0; 2]).middle(20, 20), texture(40, [0.0; 2]));
        picture.data.fill(f32::NAN);
        assert!(find(&template, &picture, [0, 0], 4).is_none());
    }

    #[test]
    fn another_texture_does_not_correlate() {
        let other = fractal([100.0, 900.0], 6.0, 3, 1);
        let picture = texture(80, [400.0 + other, 300.0]);
        let found = find(&texture(80, [0.0; 2]).middle(40, 40), &picture, [0, 0], 8);
        assert!(found.is_none_or(|found| found.correlation < 0.5), "{found:?}");
    }
}
