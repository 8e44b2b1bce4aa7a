//! Two cameras in one flight, and photos that are stored turned or mirrored.

use super::*;

#[test]
fn two_cameras_of_one_flight_have_each_its_own_lens() {
    let folder = tempfile::tempdir().unwrap();
    let mut photos = fly(folder.path());
    let wide = Camera::ideal(SIZE[0] as f64, SIZE[1] as f64, 330.0)
        .with_parameters([330.0, 237.0, 182.0, 0.02, 0.0, 0.0, 0.0, 0.0]);
    for photo in &mut photos[4..] {
        let picture = render_through(&wide, &exterior_of(photo));
        std::fs::write(&photo.path, encode_jpeg(&picture, 95).unwrap()).unwrap();
        photo.metadata.focal_px = Some(335.0);
        photo.metadata.model = Some("the other".to_owned());
    }
    let out = folder.path().join("ortho.tif");
    let report = stitch_quietly(&photos, out.clone()).unwrap();
    assert_eq!((report.photos.used, report.cameras.len()), (8, 2), "{:?}", report.photos.rejected);
    for (camera, focal) in report.cameras.iter().zip([400.0, 330.0]) {
        assert_eq!(camera.photos, 4);
        assert!((camera.adjusted.focal_px / focal - 1.0).abs() < 0.02, "{camera:?}");
    }
    let (shift, likeness) = shift_of(&out);
    assert!(likeness > 0.97 && shift[0].hypot(shift[1]) <= 0.05, "{shift:?} {likeness}");
}

/// What a file stores that shows a picture upright with this EXIF orientation (TIFF 6.0, section 8).
fn stored(picture: &Rgb8, orientation: u16) -> Rgb8 {
    let (w, h) = (picture.width, picture.height);
    let [width, height] = if orientation < 5 { [w, h] } else { [h, w] };
    let mut stored = Rgb8::new(width, height);
    for y in 0..height {
        for x in 0..width {
            // The first row of the file is shown at the top, the bottom, the left or the right.
            let (column, row) = match orientation {
                1 => (x, y),
                2 => (w - 1 - x, y),
                3 => (w - 1 - x, h - 1 - y),
                4 => (x, h - 1 - y),
                5 => (y, x),
                6 => (w - 1 - y, x),
                7 => (w - 1 - y, h - 1 - x),
                _ => (y, h - 1 - x),
            };
            stored.data[3 * (y * width + x)..][..3].copy_from_slice(&picture.pixel(column, row));
        }
    }
    stored
}

#[test]
fn photos_stored_turned_or_mirrored_come_out_like_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let mut photos = fly(folder.path());
    for (photo, orientation) in photos.iter_mut().zip([1, 2, 3, 4, 5, 6, 7, 8]) {
        let picture = stored(&crate::raster::read_photo(&photo.path).unwrap(), orientation);
        (photo.metadata.width, photo.metadata.height) = (picture.width as u32, picture.height as u32);
        photo.metadata.orientation = orientation;
        std::fs::write(&photo.path, encode_jpeg(&picture, 95).unwrap()).unwrap();
    }
    let out = folder.path().join("ortho.tif");
    let report = stitch_quietly(&photos, out.clone()).unwrap();
    assert_eq!((report.photos.used, report.verdict.as_str()), (8, "ok"), "{:?}", report.photos.rejected);
    let (shift, likeness) = shift_of(&out);
    assert!(likeness > 0.97 && shift[0].hypot(shift[1]) <= 0.1, "{shift:?} {likeness}");
}

#[test]
fn a_mirrored_orientation_that_is_not_true_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut photos = fly(folder.path());
    for photo in &mut photos[2..4] {
        photo.metadata.orientation = 2;
    }
    let out = folder.path().join("ortho.tif");
    let report = stitch_quietly(&photos, out.clone()).unwrap();
    assert_eq!(report.photos.used, 8, "{:?}", report.photos.rejected);
    assert!(report.notes.iter().any(|note| note.contains("EXIF orientation of 2 photos")), "{:?}", report.notes);
    let (shift, likeness) = shift_of(&out);
    assert!(likeness > 0.97 && shift[0].hypot(shift[1]) <= 0.05, "{shift:?} {likeness}");
}
