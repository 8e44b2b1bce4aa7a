//! Plain buffers of pixels.

/// A picture: interleaved red, green, blue, 0-255, row-major, `3 × width × height` bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb8 {
    pub width: usize,
    pub height: usize,
    pub data: Vec<u8>,
}

impl Rgb8 {
    /// Makes a black picture.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, data: vec![0; width * height * 3] }
    }

    /// Turns every row round: what was left is right.
    pub fn mirror(&mut self) {
        for row in self.data.chunks_exact_mut(3 * self.width.max(1)) {
            for column in 0..self.width / 2 {
                for channel in 0..3 {
                    row.swap(3 * column + channel, 3 * (self.width - 1 - column) + channel);
                }
            }
        }
    }

    /// Returns the colour at column `x` and row `y`.
    ///
    /// # Panics
    /// Outside the picture.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * 3;
        [self.data[at], self.data[at + 1], self.data[at + 2]]
    }
}

/// A picture with a mask: interleaved red, green, blue, alpha; alpha is 0 where there is no data, else 255.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgba8 {
    pub width: usize,
    pub height: usize,
    pub data: Vec<u8>,
}

impl Rgba8 {
    /// Makes a picture without any data.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, data: vec![0; width * height * 4] }
    }

    /// Tells whether no pixel has data.
    pub fn is_empty(&self) -> bool {
        self.data.chunks_exact(4).all(|pixel| pixel[3] == 0)
    }

    /// Returns the picture without its mask; pixels without data are black.
    pub fn to_rgb(&self) -> Rgb8 {
        let data =
            self.data.chunks_exact(4).flat_map(|p| if p[3] == 0 { [0; 3] } else { [p[0], p[1], p[2]] }).collect();
        Rgb8 { width: self.width, height: self.height, data }
    }
}
