//! What we know: layers, photos, orthophotos, detection runs, models, and their STAC items.

mod layer;
mod object;

pub use layer::Layer;
pub use object::ObjectRef;
