//! The pictures of a data set, cut from the exact versions that it names.

use std::{fs, path::PathBuf};

use super::Opened;
use crate::{
    catalog::{Image, Label, ObjectRef, Split},
    detection::training::{Known, Scene},
    pipeline::{Context, Error, Observer, Progress, Result},
    raster::{self, Raster, Rgb8, Window},
};

/// What networks see where there is no picture; the same as under a chip.
const PADDING: u8 = 114;

/// Hands out the pictures of a data set, source by source: each is fetched once, and checked against its SHA-256.
pub struct Pictures<'a> {
    context: &'a Context,
    dataset: &'a Opened,
}

impl<'a> Pictures<'a> {
    pub const fn of(context: &'a Context, dataset: &'a Opened) -> Self {
        Self { context, dataset }
    }

    /// Calls `take` for each picture of the splits, in the order of sources and names. One source is on the disk
    /// beside those that were fetched before, and one picture in memory.
    ///
    /// # Errors
    /// [`Error::Storage`] when a source is gone or another, [`Error::Raster`], and what `take` returns.
    pub async fn each(
        &self,
        splits: &[Split],
        observer: Observer<'_>,
        mut take: impl FnMut(&Image, &[Label], Rgb8) -> Result<()>,
    ) -> Result<()> {
        let manifest = &self.dataset.manifest;
        let wanted = |image: &&Image| splits.contains(&image.split);
        let total = manifest.images.iter().filter(wanted).count() as u64;
        let mut done = 0;
        for (number, source) in manifest.sources.iter().enumerate() {
            let images: Vec<&Image> = manifest.images.iter().filter(|i| i.source == number).filter(wanted).collect();
            if images.is_empty() {
                continue;
            }
            let object = source.object().ok_or_else(|| Error::DamagedItem {
                item: self.dataset.item.id.clone(),
                reason: format!("its source {} is no object of S3", source.uri),
            })?;
            let path = fetched(self.context, &object).await?;
            // Opened here and not across an await: a raster belongs to one thread.
            let opened =
                if images.iter().any(|image| image.window.is_some()) { Some(Raster::open(&path)?) } else { None };
            for image in images {
                let picture = match (&opened, image.window) {
                    (Some(raster), Some(window)) => read(raster, window, image.size)?,
                    _ => raster::read_photo(&path)?,
                };
                let labels = self.dataset.labels.images.get(&image.name).map_or(&[][..], Vec::as_slice);
                take(image, labels, picture)?;
                done += 1;
                observer(Progress { stage: "reading pictures".to_owned(), done, total });
            }
        }
        Ok(())
    }
}

fn read(raster: &Raster, [x, y, width, height]: [usize; 4], size: [usize; 2]) -> Result<Rgb8> {
    let picture = raster.read_rgba(Window { x: x as isize, y: y as isize, width, height }, size)?;
    let seen = picture.data.chunks_exact(4).flat_map(|p| if p[3] == 0 { [PADDING; 3] } else { [p[0], p[1], p[2]] });
    Ok(Rgb8 { width: size[0], height: size[1], data: seen.collect() })
}

/// Fetches an object into the work folder, under its checksum; one that is there is not fetched again.
pub(super) async fn fetched(context: &Context, object: &ObjectRef) -> Result<PathBuf> {
    let folder = context.work.join("datasets");
    fs::create_dir_all(&folder).map_err(|source| Error::Work { path: folder.clone(), source })?;
    let path = folder.join(&object.sha256);
    context.storage.download(object, &path).await?;
    Ok(path)
}

/// Returns the pictures of a split as scenes to learn from, at most `most_bytes` of them; those with objects first.
///
/// # Errors
/// As [`Pictures::each`].
pub async fn scenes(
    context: &Context,
    dataset: &Opened,
    split: Split,
    most_bytes: usize,
    observer: Observer<'_>,
) -> Result<Vec<Scene>> {
    let (mut with, mut without, mut bytes) = (Vec::new(), Vec::<Scene>::new(), 0);
    let pictures = Pictures::of(context, dataset);
    let take = |_: &Image, labels: &[Label], picture: Rgb8| {
        let size = picture.data.len();
        let objects: Vec<Known> =
            labels.iter().map(|label| Known { class: label.class, ring: label.ring.clone() }).collect();
        let is_empty = objects.is_empty();
        if bytes + size > most_bytes {
            // One that shows something takes the room of one that shows nothing.
            let Some(Scene { picture, .. }) = (if is_empty { None } else { without.pop() }) else { return Ok(()) };
            bytes -= picture.data.len();
        }
        bytes += size;
        let scene = Scene { picture, objects };
        let kept = if is_empty { &mut without } else { &mut with };
        kept.push(scene);
        Ok(())
    };
    pictures.each(&[split], observer, take).await?;
    with.append(&mut without);
    Ok(with)
}
