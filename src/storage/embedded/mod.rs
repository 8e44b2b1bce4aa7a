//! A small S3 store with versions, for one machine that has none.
//!
//! It speaks the S3 protocol (signatures, XML, chunked bodies and their checksums are the `s3s` crate's) and keeps
//! what it is given in a folder:
//!
//! ```text
//! DIR/index.redb        which version of which key holds which blobs
//! DIR/blobs/xy/…        the content, one file per blob, under random names
//! DIR/tmp/              writes on their way
//! DIR/lock              the process that has the folder open
//! ```
//!
//! Its promises:
//!
//! - A write is on the disk, content and row, before it is answered; `kill -9` loses nothing that was answered.
//! - A version is visible whole or not at all. Conditions on a write are decided where the write is.
//! - Memory does not grow with the size of objects.
//! - A full disk answers 507 and leaves nothing half-written.
//!
//! It is **one node without replication**: a broken disk is a lost store. For more than a pilot, give polder a
//! real S3 (AWS, Ceph RGW, RustFS, SeaweedFS, …); nothing else changes.

mod access;
mod answer;
mod assembly;
mod blobs;
mod buckets;
mod conditions;
mod error;
mod index;
mod lifecycle;
mod listing;
mod lists;
mod multipart;
mod objects;
mod promise;
mod rows;
mod s3;
mod server;
mod store;

pub use error::{Error, Result};
pub use store::{Credential, Store, StoreOptions};
