//! Decoded photos, the least recently used dropped first.

use std::sync::Arc;

use rayon::prelude::*;

use crate::{
    photogrammetry::{error::Result, photos::Photo, reduced::shrink},
    raster::Rgb8,
};

/// A photo, and how many of its pixels are one in memory, across and down.
pub struct Stored {
    pub photo: Photo,
    pub factor: usize,
}

/// The pictures that the last tiles needed.
pub struct PhotoCache {
    photos: Vec<Stored>,
    /// Newest last.
    held: Vec<(usize, Arc<Rgb8>)>,
    most_bytes: usize,
    pub decoded: usize,
}

impl PhotoCache {
    pub fn new(photos: Vec<Stored>, most_bytes: usize) -> Self {
        Self { photos, held: Vec::new(), most_bytes, decoded: 0 }
    }

    /// The pictures of the given photos, in order; those not held are decoded side by side.
    ///
    /// # Errors
    /// [`crate::photogrammetry::Error::PhotoGone`] and [`crate::photogrammetry::Error::PhotoChanged`] when a photo is not
    /// what it was.
    pub fn load(&mut self, photos: &[usize]) -> Result<Vec<Arc<Rgb8>>> {
        let missing: Vec<usize> =
            photos.iter().copied().filter(|photo| !self.held.iter().any(|(held, _)| held == photo)).collect();
        // Make room first: old and new photos together would be the peak.
        self.held.sort_by_key(|(held, _)| photos.contains(held));
        let size = self.held.iter().map(|(_, picture)| picture.data.len()).max().unwrap_or(0);
        let room = self.most_bytes.saturating_sub(missing.len() * size);
        while !self.held.is_empty()
            && self.held.iter().map(|(_, picture)| picture.data.len()).sum::<usize>() > room
            && !photos.contains(&self.held[0].0)
        {
            self.held.remove(0);
        }
        let read = |photo: &usize| -> Result<Rgb8> {
            let Stored { photo, factor } = &self.photos[*photo];
            let picture = photo.read()?;
            Ok(if *factor > 1 { shrink(&picture, *factor) } else { picture })
        };
        let read: Vec<Result<Rgb8>> = missing.par_iter().map(read).collect();
        for (photo, picture) in missing.into_iter().zip(read) {
            self.held.push((photo, Arc::new(picture?)));
            self.decoded += 1;
        }
        let find = |photo: &usize| {
            let held = self.held.iter().find(|(held, _)| held == photo);
            held.map(|(_, picture)| Arc::clone(picture)).expect("every photo was just held or read")
        };
        Ok(photos.iter().map(find).collect())
    }
}
