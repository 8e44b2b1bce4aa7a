//! Lets what two photos disagree about fade over a seam: the broad differences broadly, the fine ones at once.
//!
//! Multi-band blending (Burt and Adelson, "A multiresolution spline", 1983) of each pixel's own photo with corrections:
//! of every photo only the difference to what is there already is taken apart into bands. That is the same sum, but a
//! correction is nothing far from seams, outside a photo's frame and outside the orthophoto, so the outer border is
//! neither darkened nor does it need colours to be invented beyond it.

use rayon::prelude::*;

use super::{
    labels::NONE,
    pyramid::{Level, Pixel},
};

/// Bands: the coarsest has pixels of 16 × 16, and fades over about 50.
pub const LEVELS: usize = 5;
/// Side of the coarsest band's pixel. Regions begin at its multiples.
pub const COARSEST: usize = 1 << (LEVELS - 1);
/// How far from its own pixels a photo matters, and how far around a tile must be known: 23 pixels for the mean of the
/// coarsest band, 23 for its expansion or 35 for the difference to the next finer band; rounded up.
pub const REACH: usize = 64;
/// Side of the squares in which it is noted which photos are there.
pub const BLOCK: usize = 8;

/// A region's pixels, each with the photo it comes from and its colour.
pub struct Region {
    /// Where it begins in the orthophoto: at a multiple of [`COARSEST`].
    pub at: [usize; 2],
    pub size: [usize; 2],
    /// For each pixel its photo; [`NONE`] where there is none.
    pub sources: Vec<u16>,
}

/// Where a photo's differences are needed: the pixels of others near its own, block by block.
pub struct Zone {
    pub source: u16,
    /// Blocks across the region, and for each block whether it is in the zone.
    across: usize,
    blocks: Vec<bool>,
    /// First and one past the last pixel, both ways, of a box with room for all bands.
    from: [usize; 2],
    to: [usize; 2],
}

/// What a zone's photo has more than a pixel (column, row) of the region; nothing where it does not see it.
pub type Difference<'a> = dyn Fn(&Zone, usize, usize) -> Option<[f32; 3]> + Sync + 'a;

impl Zone {
    /// Whether a pixel of the region is in a block near the photo's own pixels.
    pub fn has(&self, x: usize, y: usize) -> bool {
        self.blocks[y / BLOCK * self.across + x / BLOCK]
    }
}

impl Region {
    /// The zones of all photos of the region that meet another one, in the order of the photos.
    pub fn zones(&self) -> Vec<Zone> {
        let mut sources: Vec<u16> = self.sources.clone();
        sources.sort_unstable();
        sources.dedup();
        sources.retain(|source| *source != NONE);
        if sources.len() < 2 {
            return Vec::new();
        }
        sources.into_par_iter().filter_map(|source| self.zone_of(source)).collect()
    }

    fn zone_of(&self, source: u16) -> Option<Zone> {
        let [across, down] = self.size.map(|side| side.div_ceil(BLOCK));
        let (mut own, mut others) = (vec![false; across * down], vec![false; across * down]);
        for (y, line) in self.sources.chunks_exact(self.size[0]).enumerate() {
            for (column, part) in line.chunks(BLOCK).enumerate() {
                let block = y / BLOCK * across + column;
                own[block] |= part.contains(&source);
                others[block] |= part.iter().any(|other| *other != source && *other != NONE);
            }
        }
        let near = widened(&own, across, REACH / BLOCK);
        let blocks: Vec<bool> = near.iter().zip(&others).map(|(near, others)| *near && *others).collect();
        let used = (0..blocks.len()).filter(|block| blocks[*block]);
        let bounds = used.fold(None, |bounds: Option<[usize; 4]>, block| {
            let (x, y) = (block % across, block / across);
            let [west, north, east, south] = bounds.unwrap_or([x, y, x, y]);
            Some([west.min(x), north.min(y), east.max(x), south.max(y)])
        });
        let [west, north, east, south] = bounds?;
        let from = [west, north].map(|first| (first * BLOCK).saturating_sub(REACH) / COARSEST * COARSEST);
        let end = |last: usize, side: usize| ((last + 1) * BLOCK + REACH).next_multiple_of(COARSEST).min(side);
        let to = [end(east, self.size[0]), end(south, self.size[1])];
        Some(Zone { source, across, blocks, from, to })
    }

    /// The corrections of all pixels: what is to be added to the colour that each has from its own photo.
    pub fn corrections(&self, zones: &[Zone], difference: &Difference) -> Vec<Pixel> {
        // The fourth number of a band's pixel is how much of it is covered by any photo: means are over that part alone, or
        // seams would come back as steps where they meet the outer border.
        let mut bands = vec![Level::zero(self.at, self.size)];
        bands[0].pixels.iter_mut().zip(&self.sources).for_each(|(pixel, source)| {
            pixel[3] = f32::from(u8::from(*source != NONE));
        });
        let mut covered = Vec::with_capacity(LEVELS);
        for band in 1..LEVELS {
            let coarser = bands[band - 1].reduced();
            let mut over = Level::zero(bands[band - 1].at, bands[band - 1].size);
            over.with_expanded(&coarser, |_, _, pixel, over| *pixel = over);
            covered.push(over.pixels.iter().map(|pixel| pixel[3]).collect::<Vec<f32>>());
            bands.push(coarser);
        }
        for zone in zones {
            self.add_bands(zone, difference, &mut bands, &covered);
        }
        for band in (1..LEVELS).rev() {
            let (finer, coarser) = bands.split_at_mut(band);
            for pixel in &mut coarser[0].pixels {
                let share = pixel[3];
                pixel.iter_mut().take(3).for_each(|sum| *sum *= share);
            }
            finer[band - 1].with_expanded(&coarser[0], |_, _, pixel, over| {
                if over[3] > 0.0 {
                    pixel.iter_mut().zip(over).take(3).for_each(|(sum, value)| *sum += value / over[3]);
                }
            });
        }
        bands.swap_remove(0).pixels
    }

    /// Adds a photo's differences to the bands, weighted by how much of the surroundings is the photo's own. `covered` is
    /// what the coarser band's coverage is between its pixels.
    fn add_bands(&self, zone: &Zone, difference: &Difference, bands: &mut [Level], covered: &[Vec<f32>]) {
        let mut level = self.differences(zone, difference);
        for (band, sum) in bands.iter_mut().enumerate() {
            let from = [level.at[0] - sum.at[0], level.at[1] - sum.at[1]];
            let at = |x: usize, y: usize| (from[1] + y) * sum.size[0] + from[0] + x;
            let coarser = (band + 1 < LEVELS).then(|| level.reduced());
            if let Some(coarser) = &coarser {
                // The band is what the coarser level does not have; the share is that of this level.
                level.with_expanded(coarser, |x, y, pixel, over| {
                    let (here, above) = (sum.pixels[at(x, y)][3], covered[band][at(x, y)]);
                    for (value, over) in pixel.iter_mut().zip(over).take(3) {
                        *value = if here > 0.0 { *value / here - over / above } else { 0.0 };
                    }
                });
            } else {
                for (index, pixel) in level.pixels.iter_mut().enumerate() {
                    let here = sum.pixels[at(index % level.size[0], index / level.size[0])][3];
                    pixel.iter_mut().take(3).for_each(|value| *value = if here > 0.0 { *value / here } else { 0.0 });
                }
            }
            add_weighted(sum, &level, from);
            if let Some(coarser) = coarser {
                level = coarser;
            }
        }
    }

    /// The differences of a zone, and 1 where the pixels are its photo's own.
    fn differences(&self, zone: &Zone, difference: &Difference) -> Level {
        let size = [zone.to[0] - zone.from[0], zone.to[1] - zone.from[1]];
        let mut level = Level::zero([self.at[0] + zone.from[0], self.at[1] + zone.from[1]], size);
        level.pixels.par_chunks_mut(size[0]).enumerate().for_each(|(row, line)| {
            let y = zone.from[1] + row;
            for (column, pixel) in line.iter_mut().enumerate() {
                let x = zone.from[0] + column;
                let source = self.sources[y * self.size[0] + x];
                if source == zone.source {
                    pixel[3] = 1.0;
                } else if source != NONE
                    && zone.has(x, y)
                    && let Some([red, green, blue]) = difference(zone, x, y)
                {
                    *pixel = [red, green, blue, 0.0];
                }
            }
        });
        level
    }
}

/// Adds a band, each pixel by its share of what is covered there.
fn add_weighted(sum: &mut Level, level: &Level, from: [usize; 2]) {
    let width = sum.size[0];
    let rows = sum.pixels[from[1] * width..].par_chunks_mut(width);
    rows.zip(level.pixels.par_chunks(level.size[0])).for_each(|(line, band)| {
        for (pixel, [red, green, blue, own]) in line[from[0]..].iter_mut().zip(band) {
            if *own > 0.0 {
                let share = own / pixel[3];
                pixel.iter_mut().zip([red, green, blue]).for_each(|(sum, value)| *sum += share * value);
            }
        }
    });
}

/// Blocks with one of the given ones up to `reach` away, both ways.
fn widened(blocks: &[bool], across: usize, reach: usize) -> Vec<bool> {
    let down = blocks.len() / across;
    let mut rows = vec![false; blocks.len()];
    for (at, _) in blocks.iter().enumerate().filter(|(_, own)| **own) {
        let (x, row) = (at % across, at / across * across);
        rows[row + x.saturating_sub(reach)..row + (x + reach + 1).min(across)].fill(true);
    }
    let mut wide = vec![false; blocks.len()];
    for y in 0..down {
        for from in y.saturating_sub(reach)..(y + reach + 1).min(down) {
            let (to, from) = (y * across, from * across);
            for x in 0..across {
                wide[to + x] |= rows[from + x];
            }
        }
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two photos of grey levels 100 and 120, meeting at a column; no photo from another column on.
    fn meeting(at: [usize; 2], size: [usize; 2], seam: usize, border: usize) -> Region {
        let source = |x: usize| if x >= border { NONE } else { u16::from(x >= seam) };
        Region { at, size, sources: (0..size[0] * size[1]).map(|i| source(at[0] + i % size[0])).collect() }
    }

    fn blended(region: &Region) -> Vec<f32> {
        let grey = |source: u16| if source == 0 { 100.0 } else { 120.0 };
        let zones = region.zones();
        let own = |x: usize, y: usize| region.sources[y * region.size[0] + x];
        let more = |zone: &Zone, x: usize, y: usize| Some([grey(zone.source) - grey(own(x, y)); 3]);
        let corrections = region.corrections(&zones, &more);
        corrections.iter().zip(&region.sources).map(|(c, source)| grey(*source) + c[0]).collect()
    }

    #[test]
    fn a_step_of_brightness_fades_and_is_gone_far_from_the_seam() {
        let region = meeting([0, 0], [320, 64], 160, 320);
        let line = &blended(&region)[32 * 320..33 * 320];
        let steepest = line.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(steepest < 1.2, "a step of 20 is left as {steepest}");
        assert!((line[160 - REACH] - 100.0).abs() < 1e-3 && (line[160 + REACH] - 120.0).abs() < 1e-3);
        assert!(line.windows(2).all(|pair| pair[1] >= pair[0] - 1e-3), "no ringing");
    }

    #[test]
    fn the_outer_border_is_not_darkened() {
        let region = meeting([0, 0], [320, 64], 160, 200);
        let line = &blended(&region)[32 * 320..33 * 320];
        assert!(line[..200].iter().all(|value| (99.0..=121.0).contains(value)));
        assert!(line[199] > 118.0, "{}", line[199]);
    }

    #[test]
    fn a_seam_that_ends_at_the_outer_border_fades_there_too() {
        // Photos of 100 and 120, side by side in the upper half; nothing below.
        let source = |x: usize, y: usize| if y >= 40 { NONE } else { u16::from(x >= 160) };
        let sources = (0..320 * 96).map(|i| source(i % 320, i / 320)).collect();
        let region = Region { at: [0, 0], size: [320, 96], sources };
        let line = &blended(&region)[39 * 320..40 * 320];
        let steepest = line.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(steepest < 1.5, "a step of 20 is left as {steepest}");
    }

    #[test]
    fn fine_detail_of_either_photo_stays_as_sharp_up_to_the_seam() {
        // The second photo has stripes that the first has not: four pixels beside the seam they are whole.
        let region = meeting([0, 0], [256, 64], 128, 256);
        let stripe = |x: usize| if x.is_multiple_of(2) { 10.0 } else { -10.0 };
        let zones = region.zones();
        let more = |zone: &Zone, x: usize, _: usize| Some([if zone.source == 1 { stripe(x) } else { -stripe(x) }; 3]);
        let corrections = region.corrections(&zones, &more);
        let line = &corrections[32 * 256..33 * 256];
        assert!(line[132..].iter().chain(&line[..124]).all(|correction| correction[0].abs() < 1.0));
    }

    #[test]
    fn a_pixel_is_the_same_bit_for_bit_in_any_region_that_holds_its_surroundings() {
        let whole = meeting([0, 0], [400, 160], 200, 330);
        let part = meeting([128, 0], [224, 160], 200, 330);
        let (a, b) = (blended(&whole), blended(&part));
        for y in 0..160 {
            for x in 128 + REACH..352 - REACH {
                assert_eq!(a[y * 400 + x].to_bits(), b[y * 224 + x - 128].to_bits(), "{x} {y}");
            }
        }
    }
}
