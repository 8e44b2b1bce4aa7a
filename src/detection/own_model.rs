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
        version: "1.1.0",
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
}
