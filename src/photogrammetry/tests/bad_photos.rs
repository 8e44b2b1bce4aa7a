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
