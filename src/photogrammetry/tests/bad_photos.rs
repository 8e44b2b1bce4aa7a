//! Photos that cannot be used, and flights of which too little is left.

use super::*;

#[test]
fn what_cannot_be_stitched_says_why_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let photos = fly(folder.path());
    let out = folder.path().join("ortho.tif");
    assert!(matches!(stitch_quietly(&[], out.clone()), Err(Error::NoPhotos)));
    assert!(matches!(stitch_quietly(&photos[..1], out.clone()), Err(Error::TooFewPhotos { usable: 1, .. })));
    let nowhere = folder.path().join("missing/ortho.tif");
    assert!(matches!(stitch_quietly(&photos, nowhere), Err(Error::NoOutputFolder { .. })));
    let twice = Options { out: out.clone(), dsm: Some(out.clone()), ..Options::default() };
    assert!(matches!(stitch(&photos, &twice, &|_| ()), Err(Error::SameOutput { .. })));

    // Three photos a hundred metres apart, with grounds of their own.
    let mut apart = photos[..3].to_vec();
    for (index, photo) in apart.iter_mut().enumerate() {
        let attitude = photo.metadata.gimbal.unwrap();
        let centre = Vector3::new(500.0 * index as f64, 0.0, HEIGHT_M);
        std::fs::write(
            &photo.path,
            encode_jpeg(&render(&Exterior { rotation: rotation_of(&attitude), centre }), 95).unwrap(),
        )
        .unwrap();
        let [lon, lat, _] = LocalFrame::at(ORIGIN).to_lonlat(centre.into());
        photo.metadata.lonlat = Some([lon, lat]);
    }
    assert!(matches!(stitch_quietly(&apart, out.clone()), Err(Error::NoOverlap { largest: 1, .. })));
    assert!(!out.exists());
}

/// A mean over squares of so many pixels.
fn smeared(picture: &Rgb8, side: usize) -> Rgb8 {
    let mut smeared = picture.clone();
    for y in 0..picture.height {
        for x in 0..picture.width {
            let (from_x, from_y) = (x.saturating_sub(side / 2), y.saturating_sub(side / 2));
            let (to_x, to_y) = ((from_x + side).min(picture.width), (from_y + side).min(picture.height));
            let mut sum = 0;
            for row in from_y..to_y {
                sum += (from_x..to_x).map(|column| u32::from(picture.pixel(column, row)[0])).sum::<u32>();
            }
            let mean = (sum / ((to_x - from_x) * (to_y - from_y)) as u32) as u8;
            smeared.data[3 * (y * picture.width + x)..][..3].fill(mean);
        }
    }
    smeared
}

#[test]
fn black_white_blurred_and_watery_photos_are_rejected_with_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let mut photos = fly(folder.path());
    // Gravel of two pixels: the plain texture is too smooth for anyone to see that a photo of it is blurred.
    let gravel = |east: f64, north: f64| {
        let stone = random_at((east / 0.1).floor() as i64, (north / 0.1).floor() as i64, 77);
        0.8 * texture(east, north) + 40.0 * (stone - 0.5) + 20.0
    };
    for photo in &photos {
        let picture = render_ground(&lens(), &exterior_of(photo), gravel);
        std::fs::write(&photo.path, encode_jpeg(&picture, 95).unwrap()).unwrap();
    }
    let whole = crate::raster::read_photo(&photos[1].path).unwrap();
    let grey = |value: &dyn Fn(usize) -> u8| {
        let mut picture = Rgb8::new(SIZE[0], SIZE[1]);
        picture.data.chunks_exact_mut(3).enumerate().for_each(|(index, pixel)| pixel.fill(value(index)));
        picture
    };
    let ripple = |index: usize| 90 + (random_at(index as i64, 0, 5) * 3.0) as u8;
    for (name, picture) in [
        ("black.jpg", grey(&|index| (index % 3) as u8)),
        ("white.jpg", grey(&|_| 254)),
        ("water.jpg", grey(&ripple)),
        ("blurred.jpg", smeared(&whole, 15)),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, encode_jpeg(&picture, 95).unwrap()).unwrap();
        photos.push(PhotoInput { name: name.to_owned(), path, ..photos[1].clone() });
    }
    let copy = folder.path().join("copy.jpg");
    std::fs::copy(&photos[3].path, &copy).unwrap();
    photos.push(PhotoInput { name: "copy.jpg".to_owned(), path: copy, ..photos[3].clone() });
    let gone = PhotoInput { name: "gone.jpg".to_owned(), path: folder.path().join("gone.jpg"), ..photos[4].clone() };
    photos.push(gone);

    let report = stitch_quietly(&photos, folder.path().join("ortho.tif")).unwrap();
    assert_eq!(report.photos.used, 8, "{:?}", report.photos.rejected);
    for (name, word) in [
        ("black.jpg", "black"),
        ("white.jpg", "overexposed"),
        ("water.jpg", "water or snow"),
        ("blurred.jpg", "blurred"),
        ("copy.jpg", "same photo as photo_3.jpg"),
        ("gone.jpg", "cannot read"),
    ] {
        let reason = report.photos.rejected.iter().find(|rejected| rejected.name == name).map(|found| &found.reason);
        assert!(reason.is_some_and(|reason| reason.contains(word)), "{name}: {reason:?}");
    }

    let water: Vec<PhotoInput> = (0..4)
        .map(|index| {
            let path = folder.path().join(format!("sea_{index}.jpg"));
            let picture = grey(&|at| ripple(at + 7919 * index));
            std::fs::write(&path, encode_jpeg(&picture, 95).unwrap()).unwrap();
            PhotoInput { name: format!("sea_{index}.jpg"), path, ..photos[index].clone() }
        })
        .collect();
    let refused = stitch_quietly(&water, folder.path().join("sea.tif")).unwrap_err();
    assert!(matches!(refused, Error::TooFewPhotos { usable: 0, total: 4, .. }), "{refused}");
    assert!(refused.to_string().contains("water or snow"), "{refused}");
}

#[test]
fn photos_that_look_aside_without_saying_so_are_not_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let mut photos = fly(folder.path());
    for (index, pitch_deg) in [-48.0, -40.0].into_iter().enumerate() {
        let attitude = Attitude { yaw_deg: 90.0, pitch_deg, roll_deg: 0.0 };
        let centre = Vector3::new(-12.0, 3.0 * index as f64, HEIGHT_M);
        let (name, [lon, lat, _]) = (format!("aside_{index}.jpg"), LocalFrame::at(ORIGIN).to_lonlat(centre.into()));
        let path = folder.path().join(&name);
        let picture = render(&Exterior { rotation: rotation_of(&attitude), centre });
        std::fs::write(&path, encode_jpeg(&picture, 95).unwrap()).unwrap();
        let metadata = PhotoMetadata { lonlat: Some([lon, lat]), ..photos[0].metadata.clone() };
        photos.push(PhotoInput { name, path, metadata });
    }
    for photo in &mut photos {
        photo.metadata.gimbal = None;
    }
    let out = folder.path().join("ortho.tif");
    let report = stitch_quietly(&photos, out.clone()).unwrap();
    assert_eq!(report.photos.used, 8, "{:?}", report.photos.rejected);
    assert!(report.photos.rejected.iter().all(|rejected| rejected.name.starts_with("aside_")));
    let (shift, likeness) = shift_of(&out);
    assert!(likeness > 0.97 && shift[0].hypot(shift[1]) <= 0.08, "{shift:?} {likeness}");
}

#[test]
fn thin_overlap_holds_together() {
    let folder = tempfile::tempdir().unwrap();
    // Photos cover 18 m along and 24 m across: 60 and 40 %.
    let photos = fly_strips(folder.path(), 2, [7.2, 14.4]);
    let out = folder.path().join("ortho.tif");
    let report = stitch_quietly(&photos, out.clone()).unwrap();
    assert_eq!((report.photos.used, report.blocks.len()), (8, 1), "{:?}", report.photos.rejected);
    let (shift, likeness) = shift_around(&out, [2.0, 4.0]);
    assert!(likeness > 0.97 && shift[0].hypot(shift[1]) <= 0.05, "{shift:?} {likeness}");
}
