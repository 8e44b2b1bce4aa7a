//! The detector that comes with polder.

/// A model with the name and version it has in the registry.
#[derive(Clone, Copy, Debug)]
pub struct OwnModel {
    pub name: &'static str,
    pub version: &'static str,
    /// The TorchScript archive.
    pub bytes: &'static [u8],
    /// The model card, Markdown: classes, training data, figures, limits, licence.
    pub card: &'static str,
}

/// Returns the model that polder uses when it is given none; `models/muskrat.md` tells how it was made.
pub const fn own_model() -> OwnModel {
    OwnModel {
        name: "muskrat",
        version: "1.0.0",
        bytes: include_bytes!("../../models/muskrat.torchscript"),
        card: include_str!("../../models/muskrat.md"),
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::detection::read_spec;

    #[test]
    fn the_card_is_about_these_weights() {
        let own = own_model();
        assert!(own.card.contains(&hex::encode(Sha256::digest(own.bytes))), "the card gives another checksum");
        let spec = read_spec(own.bytes, own.name).unwrap();
        assert_eq!(spec.version.as_deref(), Some(own.version));
        assert!(spec.names.iter().all(|name| own.card.contains(name.as_str())));
    }

    /// The renderer is a neighbour, not a layer below: only this test knows both.
    #[cfg(feature = "torch")]
    #[test]
    fn it_finds_what_is_planted_on_a_landscape_that_it_has_not_seen() {
        use crate::{
            detection::{DetectOptions, Truth, detect_raster, evaluate, load},
            raster::{CogOptions, CogWriter, Raster},
            simulation::{CLASSES, Landscape, OrthoWindow, render_ortho},
            spatial::{Crs, GeoTransform},
        };
        const GSD_M: f64 = 0.03;
        const SIDE: usize = 1100;
        let landscape = Landscape::new(4711, [33.0, 65.0]);
        let window = OrthoWindow::around([0.0, 0.0], [SIDE; 2], GSD_M);
        let (picture, planted) = render_ortho(&landscape, &window);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ortho.tif");
        let place = GeoTransform::north_up([155_000.0, 463_000.0], GSD_M);
        let mut cog = CogWriter::create(&path, [SIDE; 2], place, Crs::RD_NEW, CogOptions::default()).unwrap();
        cog.write_rgb([0, 0], [SIDE; 2], &picture.data, &vec![255; SIDE * SIDE]).unwrap();
        cog.finish().unwrap();

        let detector = load(own_model().bytes, own_model().name).unwrap();
        let raster = Raster::open(&path).unwrap();
        let found = detect_raster(&raster, detector.as_ref(), &DetectOptions::default(), &|_| {}).unwrap();
        let inside = |b: &[f64; 4]| b.iter().all(|at| (0.0..SIDE as f64).contains(at));
        let planted = planted.into_iter().filter(|planted| inside(&planted.pixels));
        let truth: Vec<_> =
            planted.map(|p| Truth { class: p.class.to_owned(), pixel_box: p.pixels }).collect();
        assert!(truth.len() >= 8, "the landscape has {} objects", truth.len());
        for class in CLASSES {
            let judged = evaluate(&[(found.clone(), truth.clone())], class, detector.spec().confidence);
            assert!(judged.recall >= 0.9 && judged.precision >= 0.85, "{class}: {judged:?}");
        }
    }
}
