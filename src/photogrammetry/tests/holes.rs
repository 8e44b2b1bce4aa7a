//! Flights with a hole in them.

use super::*;

#[test]
fn both_sides_of_a_hole_are_drawn_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let mut photos = fly(folder.path());
    let frame = LocalFrame::at(ORIGIN);
    // Six more of the same ground 70 m to the east, where nothing of the first eight is seen.
    for index in 0..6u32 {
        let (strip, along) = (index / 3, index % 3);
        let centre = Vector3::new(70.0 + 5.0 * f64::from(along), 6.0 * f64::from(strip), HEIGHT_M);
        let yaw_deg = if strip == 0 { 90.0 } else { -90.0 };
        let attitude = Attitude { yaw_deg, pitch_deg: -90.5 + f64::from(index % 2), roll_deg: 0.5 };
        let name = format!("beyond_{index}.jpg");
        let path = folder.path().join(&name);
        let picture = render(&Exterior { rotation: rotation_of(&attitude), centre });
        std::fs::write(&path, encode_jpeg(&picture, 95).unwrap()).unwrap();
        let [lon, lat, height] = frame.to_lonlat(centre.into());
        let metadata = PhotoMetadata {
            lonlat: Some([lon, lat]),
            absolute_altitude_m: Some(height),
            gimbal: Some(attitude),
            ..photos[0].metadata.clone()
        };
        photos.push(PhotoInput { name, path, metadata });
    }
    let out = folder.path().join("ortho.tif");
    let report = stitch_quietly(&photos, out.clone()).unwrap();
    assert_eq!(report.photos.used, 14, "{:?}", report.photos.rejected);
    let sizes: Vec<usize> = report.blocks.iter().map(|block| block.photos).collect();
    assert_eq!(sizes, [8, 6]);
    assert!(report.blocks.iter().all(|block| block.reprojection_rmse_px < 0.7 && block.tie_points > 100));
    assert!(report.blocks[1].names.iter().all(|name| name.starts_with("beyond_")), "{:?}", report.blocks[1]);
    let said = |note: &String| note.contains("no matches tie the 2 blocks of 8 + 6 photos");
    assert!(report.notes.iter().any(said), "{:?}", report.notes);
    for east in [0.0, 69.0] {
        let (shift, likeness) = shift_around(&out, [east, 0.0]);
        assert!(likeness > 0.97 && shift[0].hypot(shift[1]) <= 0.05, "{east} m: {shift:?} {likeness}");
    }
    // The sums over both are those of the parts.
    assert_eq!(report.tie_points, report.blocks.iter().map(|block| block.tie_points).sum::<usize>());
    assert_eq!(report.per_photo.len(), 14);
    assert!(report.per_photo.iter().all(|photo| photo.tie_points >= 25), "{:?}", report.per_photo);
}

#[test]
fn photos_that_fell_out_of_the_middle_are_no_block() {
    let folder = tempfile::tempdir().unwrap();
    let mut photos = fly(folder.path());
    // Three photos that say they are amidst the others, but show ground of elsewhere, alike.
    for index in 0..3usize {
        let like = photos[index].clone();
        let mut exterior = exterior_of(&like);
        exterior.centre.x += 500.0;
        let name = format!("strange_{index}.jpg");
        let path = folder.path().join(&name);
        std::fs::write(&path, encode_jpeg(&render(&exterior), 95).unwrap()).unwrap();
        photos.push(PhotoInput { name, path, metadata: like.metadata });
    }
    let out = folder.path().join("ortho.tif");
    let report = stitch_quietly(&photos, out.clone()).unwrap();
    assert_eq!((report.photos.used, report.blocks.len()), (8, 1));
    for rejected in &report.photos.rejected {
        assert!(rejected.name.starts_with("strange_") && rejected.reason.contains("no matches"), "{rejected:?}");
    }
    let (shift, likeness) = shift_of(&out);
    assert!(likeness > 0.97 && shift[0].hypot(shift[1]) <= 0.05, "{shift:?} {likeness}");
}
