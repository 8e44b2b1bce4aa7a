//! One point at a time: its sightings linearised, the point taken out of what they say of poses and cameras.

use nalgebra::Vector3;

use super::{
    index::PairIndex,
    normal::Reduced,
    priors::CAMERA_UNKNOWNS as C,
    residuals::{Ready, Seen, Sightings, Survey},
};

/// A point's own block as its Cholesky factor, and its gradient.
pub struct Own {
    /// l00, l10, l11, l20, l21, l22.
    factor: [f64; 6],
    gradient: [f64; 3],
}

impl Own {
    /// `None` when the sightings do not fix the point.
    pub fn of(seen: &[Seen], position: &Vector3<f64>, survey: Survey, damping: f64) -> Option<Self> {
        let (mut a, mut gradient) = ([0.0; 6], [0.0; 3]);
        for sighting in seen {
            for (row, residual) in sighting.by_point.iter().zip(sighting.residual) {
                a[0] += row[0] * row[0];
                a[1] += row[1] * row[0];
                a[2] += row[1] * row[1];
                a[3] += row[2] * row[0];
                a[4] += row[2] * row[1];
                a[5] += row[2] * row[2];
                gradient.iter_mut().zip(row).for_each(|(g, slope)| *g += slope * residual);
            }
            let [slope, residual] = sighting.height;
            a[5] += slope * slope;
            gradient[2] -= slope * residual;
        }
        if let Some((at, sigma)) = survey {
            for (axis, diagonal) in [0, 2, 5].into_iter().enumerate() {
                let weight = sigma[axis].powi(-2);
                a[diagonal] += weight;
                gradient[axis] += weight * (position[axis] - at[axis]);
            }
        }
        for diagonal in [0, 2, 5] {
            a[diagonal] *= 1.0 + damping;
        }
        let l00 = positive_root(a[0])?;
        let (l10, l20) = (a[1] / l00, a[3] / l00);
        let l11 = positive_root(a[2] - l10 * l10)?;
        let l21 = (a[4] - l20 * l10) / l11;
        let l22 = positive_root(a[5] - l20 * l20 - l21 * l21)?;
        Some(Self { factor: [l00, l10, l11, l20, l21, l22], gradient })
    }

    /// `L⁻¹` times a vector.
    #[inline]
    fn forward(&self, v: [f64; 3]) -> [f64; 3] {
        let [l00, l10, l11, l20, l21, l22] = self.factor;
        let x = v[0] / l00;
        let y = (v[1] - l10 * x) / l11;
        [x, y, (v[2] - l20 * x - l21 * y) / l22]
    }

    /// `L⁻¹` times each column of three rows.
    #[inline]
    fn forward_columns<const N: usize>(&self, [first, second, third]: &mut [[f64; N]; 3]) {
        let [l00, l10, l11, l20, l21, l22] = self.factor;
        for ((x, y), z) in first.iter_mut().zip(second).zip(third) {
            *x /= l00;
            *y = (*y - l10 * *x) / l11;
            *z = (*z - l20 * *x - l21 * *y) / l22;
        }
    }

    /// `(L Lᵀ)⁻¹` times a vector.
    #[inline]
    fn solve(&self, v: [f64; 3]) -> [f64; 3] {
        let [l00, l10, l11, l20, l21, l22] = self.factor;
        let [x, y, z] = self.forward(v);
        let z = z / l22;
        let y = (y - l21 * z) / l11;
        [(x - l10 * y - l20 * z) / l00, y, z]
    }

    /// By how much a step of the point alone would lower half the squared residuals, twice.
    pub fn fall(&self) -> f64 {
        self.forward(self.gradient).iter().map(|v| v * v).sum()
    }

    /// How far the point moves when the residuals of its sightings already moved by `changes`.
    pub fn step(&self, seen: &[Seen], changes: impl Fn(&Seen) -> ([f64; 2], f64)) -> Vector3<f64> {
        let mut right = self.gradient;
        for sighting in seen {
            let (change, height) = changes(sighting);
            for (row, change) in sighting.by_point.iter().zip(change) {
                right.iter_mut().zip(row).for_each(|(g, slope)| *g += slope * change);
            }
            right[2] -= sighting.height[0] * height;
        }
        -Vector3::from(self.solve(right))
    }
}

fn positive_root(value: f64) -> Option<f64> {
    (value > 1e-12).then(|| value.sqrt())
}

/// Room for the sightings of one point, used again for the next.
#[derive(Default)]
pub struct Room {
    pub seen: Vec<Seen>,
    /// For each sighting `W L⁻ᵀ`, three rows of six: how the point hangs on its pose.
    poses: Vec<[[f64; 6]; 3]>,
    /// The same for each camera, with its index.
    cameras: Vec<(usize, [[f64; C]; 3])>,
}

impl Room {
    pub fn linearise(&mut self, sightings: &Sightings, ready: &Ready, point: usize, position: &Vector3<f64>) {
        let surveyed = sightings.survey(point).is_some();
        let range = sightings.of_point(point);
        self.seen.clear();
        self.seen.extend(range.filter_map(|at| sightings.linearise(ready, at, position, surveyed)));
    }

    /// Adds what the sightings say of poses and cameras, less what the point takes of it.
    pub fn add_to(&mut self, out: &mut Reduced, own: &Own, pairs: &PairIndex, photos: usize) {
        self.poses.clear();
        self.cameras.clear();
        for seen in &self.seen {
            add_direct(out, seen, photos);
            self.poses.push(hang_pose(seen, own));
            let lens = seen.lens as usize;
            let index = self.cameras.iter().position(|(index, _)| *index == lens).unwrap_or_else(|| {
                self.cameras.push((lens, [[0.0; C]; 3]));
                self.cameras.len() - 1
            });
            hang_camera(&mut self.cameras[index].1, seen);
        }
        for (_, hangs) in &mut self.cameras {
            own.forward_columns(hangs);
        }
        let gradient = own.forward(own.gradient);
        let count = out.camera_gradients.len();
        for (index, (seen, hangs)) in self.seen.iter().zip(&self.poses).enumerate() {
            let photo = seen.photo as usize;
            take_product(&mut out.poses[photo], hangs, hangs);
            take_vector(&mut out.pose_gradients[photo], hangs, gradient);
            // Sightings are ordered by photo: the other one is the later, which owns the row.
            for (later, theirs) in self.seen[index + 1..].iter().zip(&self.poses[index + 1..]) {
                take_product(&mut out.pairs[pairs.slot(seen.photo, later.photo)], theirs, hangs);
            }
            for (camera, theirs) in &self.cameras {
                take_product(&mut out.borders[camera * photos + photo], theirs, hangs);
            }
        }
        for (camera, hangs) in &self.cameras {
            take_vector(&mut out.camera_gradients[*camera], hangs, gradient);
            for (other, theirs) in &self.cameras {
                take_product(&mut out.cameras[other * count + camera], theirs, hangs);
            }
        }
    }
}

/// `into -= aᵀ b` for `a` of three rows of `R` and `b` of three rows of `S`.
#[inline]
fn take_product<const R: usize, const S: usize>(into: &mut [[f64; S]; R], a: &[[f64; R]; 3], b: &[[f64; S]; 3]) {
    for (row, target) in into.iter_mut().enumerate() {
        let (x, y, z) = (a[0][row], a[1][row], a[2][row]);
        for column in 0..S {
            target[column] -= x * b[0][column] + y * b[1][column] + z * b[2][column];
        }
    }
}

#[inline]
fn take_vector<const R: usize>(into: &mut [f64; R], a: &[[f64; R]; 3], v: [f64; 3]) {
    for (row, target) in into.iter_mut().enumerate() {
        *target -= a[0][row] * v[0] + a[1][row] * v[1] + a[2][row] * v[2];
    }
}

/// The two rows of a sighting by its pose: by the turn, and by the centre.
#[inline]
fn by_pose(seen: &Seen) -> [[f64; 6]; 2] {
    [0, 1].map(|row| {
        let (turn, point) = (seen.by_turn[row], seen.by_point[row]);
        [turn[0], turn[1], turn[2], -point[0], -point[1], -point[2]]
    })
}

/// What a sighting says of its pose and camera when the point is held.
#[inline]
fn add_direct(out: &mut Reduced, seen: &Seen, photos: usize) {
    let (photo, lens) = (seen.photo as usize, seen.lens as usize);
    let pose = by_pose(seen);
    let own = &mut out.poses[photo];
    for row in 0..6 {
        for column in 0..6 {
            own[row][column] += pose[0][row] * pose[0][column] + pose[1][row] * pose[1][column];
        }
        out.pose_diagonals[photo][row] += pose[0][row] * pose[0][row] + pose[1][row] * pose[1][row];
        out.pose_gradients[photo][row] += pose[0][row] * seen.residual[0] + pose[1][row] * seen.residual[1];
    }
    let [slope, residual] = seen.height;
    own[5][5] += slope * slope;
    out.pose_diagonals[photo][5] += slope * slope;
    out.pose_gradients[photo][5] += slope * residual;

    let camera = &seen.by_camera;
    let border = &mut out.borders[lens * photos + photo];
    let count = out.camera_gradients.len();
    let own = &mut out.cameras[lens * count + lens];
    for row in 0..C {
        let (x, y) = (camera[0][row], camera[1][row]);
        for column in 0..6 {
            border[row][column] += x * pose[0][column] + y * pose[1][column];
        }
        for column in 0..C {
            own[row][column] += x * camera[0][column] + y * camera[1][column];
        }
        out.camera_diagonals[lens][row] += x * x + y * y;
        out.camera_gradients[lens][row] += x * seen.residual[0] + y * seen.residual[1];
    }
}

/// `(Jposeᵀ Jpoint) L⁻ᵀ`, transposed.
#[inline]
fn hang_pose(seen: &Seen, own: &Own) -> [[f64; 6]; 3] {
    let pose = by_pose(seen);
    let point = &seen.by_point;
    let mut w = [[0.0; 6]; 3];
    for (axis, row) in w.iter_mut().enumerate() {
        for column in 0..6 {
            row[column] = pose[0][column] * point[0][axis] + pose[1][column] * point[1][axis];
        }
    }
    w[2][5] -= seen.height[0] * seen.height[0];
    own.forward_columns(&mut w);
    w
}

/// Adds `Jpointᵀ Jcamera`.
#[inline]
fn hang_camera(into: &mut [[f64; C]; 3], seen: &Seen) {
    let [first, second] = &seen.by_camera;
    for (axis, row) in into.iter_mut().enumerate() {
        let (u, v) = (seen.by_point[0][axis], seen.by_point[1][axis]);
        for ((value, a), b) in row.iter_mut().zip(first).zip(second) {
            *value += a * u + b * v;
        }
    }
}
