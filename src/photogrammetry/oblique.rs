//! Photos that turn out to look aside.
//!
//! Without gimbal angles the metadata does not say so; the adjustment does. Such a photo may help the others to their places,
//! but its own ground has a scale that changes manifold over the frame, so nothing is drawn from it.

use super::{
    orient::Oriented,
    photos::{Rejected, STEEPEST_OFF_NADIR_DEG},
};

/// Takes the photos that look too far aside out of an adjusted block and rejects them. `names` are those of its photos.
pub fn take_out(oriented: &mut Oriented, names: &[String]) {
    let aside: Vec<f64> = oriented.block.photos.iter().map(|photo| off_nadir_deg(&photo.exterior.rotation)).collect();
    let keep: Vec<bool> = aside.iter().map(|degrees| *degrees <= STEEPEST_OFF_NADIR_DEG).collect();
    if !keep.contains(&false) {
        return;
    }
    let strange = names.iter().zip(&aside).zip(&keep).filter(|(_, keep)| !**keep);
    oriented.rejected.extend(strange.map(|((name, degrees), _)| Rejected {
        name: name.clone(),
        reason: format!(
            "it looks {degrees:.0}° away from straight down, more than {STEEPEST_OFF_NADIR_DEG:.0}°, by its adjusted attitude"
        ),
    }));
    let mut next = 0u32;
    let place: Vec<Option<u32>> = keep
        .iter()
        .map(|keep| {
            next += u32::from(*keep);
            keep.then(|| next - 1)
        })
        .collect();
    let block = &mut oriented.block;
    let mut kept = keep.iter();
    block.photos.retain(|_| kept.next().copied().unwrap_or(true));
    let of_points = block.points.iter_mut().map(|point| &mut point.sightings);
    let of_surveyed = oriented.surveyed.iter_mut().map(|point| &mut point.marks);
    for sightings in of_points.chain(of_surveyed) {
        sightings.retain_mut(|sighting| match place[sighting.photo as usize] {
            Some(photo) => {
                sighting.photo = photo;
                true
            }
            None => false,
        });
    }
    block.points.retain(|point| point.sightings.len() > 1);
}

/// The angle between the optical axis and straight down, degrees.
fn off_nadir_deg(rotation: &nalgebra::Matrix3<f64>) -> f64 {
    (-rotation[(2, 2)]).clamp(-1.0, 1.0).acos().to_degrees()
}
