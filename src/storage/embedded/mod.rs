//! A small S3 store with versions, for one machine that has none.

mod answer;
mod blobs;
mod error;
mod index;
mod rows;

pub use error::{Error, Result};
