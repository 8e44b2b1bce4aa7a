//! Writes items as stac-geoparquet 1.1, a table that `DuckDB`, geopandas, QGIS and rustac open without an API.
//!
//! One row is one item. Its members are columns of the same name, and those of `properties` stand beside them
//! ([the specification](https://github.com/radiantearth/stac-geoparquet-spec)):
//!
//! | of the item | in the table |
//! | --- | --- |
//! | `geometry` | ISO WKB, lon lat (height), OGC:CRS84; so is `proj:geometry`, in a CRS that only its row says |
//! | `bbox` | a struct `xmin`, `ymin`, `xmax`, `ymax`, with `zmin`, `zmax` where all boxes have heights: the covering |
//! | `datetime` and the other seven times of STAC | timestamps, microseconds, UTC |
//! | `assets` | a struct of structs, by asset key |
//! | `links` | a list of structs |
//! | arrays, objects, strings, numbers, booleans | lists, structs, and the like |
//! | a property that is now this and now that, or an object with a great many members | JSON text, marked as such |
//!
//! **The columns must be known before the first row, the items are not.** So they are guessed, and a wrong guess costs
//! comfort instead of data. The guess is what [`Columns`] says together with what the first items show
//! ([`Writer::write`]). What an item has that its columns cannot hold stands in one more column,
//! `polder:merge_patch`, as a JSON Merge Patch (RFC 7396): read the row as an item, apply the patch, and the item is
//! whole again. Where all fits, and that is nearly always, it is null: rustac then leaves it out, and in a query it
//! is in nobody's way. Its rows never fail the file, and a query that needs one finds it with `is not null`.
//!
//! Written with `parquet` itself: the writer of the `stac` crate takes its schema from the first batch, drops later
//! properties without a word, and fails on a null geometry and on a value of another type.
//!
//! Differences to the item that stay: a member that is `null` is one that is not there, as in all stac-geoparquet;
//! a time is the same instant in UTC; 5 may come back as 5.0.
//!
//! Readers have gaps of their own: rustac 0.9 drops heights, turns polygons among multi-polygons into such, and breaks
//! on a null geometry; stac-geoparquet 0.8 breaks on a null geometry and on a `proj:geometry` that only some rows have.
//!
//! Invariant: memory does not grow with the number of items, but for 0.7 kB a column in every row group of about
//! [`ROW_GROUP_BYTES`], which is what Parquet's footer lists.

mod column;
mod columns;
mod metadata;
mod shape;
#[cfg(test)]
mod tests;
mod wkb;
mod writer;

pub use columns::Columns;
pub use writer::Writer;

use parquet::errors::ParquetError;

/// Media type of Parquet.
pub const PARQUET: &str = "application/vnd.apache.parquet";

/// A row group is written out when it takes this much in the file, which is some ten thousand items: small enough to
/// keep in memory for every client at once, large enough that a column of it is worth a request.
pub const ROW_GROUP_BYTES: usize = 4 << 20;

/// Why a table cannot be written. What was written before is no whole file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read item {row} of the table: {source}")]
    Item { row: u64, source: serde_json::Error },
    /// The output refused the bytes, or the columns are none that Parquet can hold.
    #[error("cannot write Parquet: {0}")]
    Parquet(#[from] ParquetError),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;
