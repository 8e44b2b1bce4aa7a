//! Photos that are not there any more, or not what they were, when they are drawn.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Stitches, and does something to the folder when a stage begins.
fn disturbed(photos: &[PhotoInput], out: &Path, stage: &str, disturb: impl Fn() + Sync) -> Error {
    let done = AtomicBool::new(false);
    let watch = |progress: super::super::Progress| {
        if progress.stage == stage && !done.swap(true, Ordering::Relaxed) {
            disturb();
        }
    };
    stitch(photos, &Options { out: out.to_owned(), ..Options::default() }, &watch).unwrap_err()
}

#[test]
fn a_photo_deleted_or_replaced_while_running_is_named_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let photos = fly(folder.path());
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let ortho = out.join("ortho.tif");
    let victim = photos[5].path.clone();
    let whole = std::fs::read(&victim).unwrap();

    let error = disturbed(&photos, &ortho, "mosaic", || std::fs::remove_file(&victim).unwrap());
    assert!(matches!(&error, Error::PhotoGone { name, .. } if name == "photo_5.jpg"), "{error}");
    assert!(error.to_string().contains("put it back"), "{error}");

    std::fs::write(&victim, whole).unwrap();
    let other = encode_jpeg(&Rgb8::new(400, 300), 90).unwrap();
    let error = disturbed(&photos, &ortho, "exposure", || std::fs::write(&victim, &other).unwrap());
    assert!(matches!(&error, Error::PhotoChanged { name, is: [400, 300], .. } if name == "photo_5.jpg"), "{error}");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0, "nothing half-written");
}
