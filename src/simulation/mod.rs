//! A flight that we can know everything about: landscape, camera, photos, truth.
