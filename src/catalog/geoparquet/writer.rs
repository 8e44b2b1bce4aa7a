//! The file as it grows.

use std::{io, sync::Arc};

use arrow_schema::{DataType, SchemaRef};
use parquet::{
    arrow::ArrowWriter,
    basic::Compression,
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties},
    },
    schema::types::ColumnPath,
};
use serde_json::{Map, Value};

use super::{Columns, Error, ROW_GROUP_BYTES, Result, column::Table, metadata};

/// JSON text of items that is looked at before the columns are decided: some thousand items.
const SAMPLE_BYTES: usize = 4 << 20;

/// JSON text of items that become one Arrow batch, which is then encoded: a small part of what a row group takes.
const BATCH_BYTES: usize = 1 << 20;

/// Rows × columns of a batch: with a thousand columns, most of which a row leaves empty, the text says nothing about
/// the memory.
const BATCH_CELLS: usize = 1 << 18;

/// Rows × columns of a row group, for the same reason: each page that waits takes some hundred bytes beside its values.
const ROW_GROUP_CELLS: usize = 1 << 24;

/// Rows of a page. Until a page is complete each value takes ten bytes and more beside itself, in every column: with
/// the 20 000 rows that are usual, 200 columns took 25 MB more.
const PAGE_ROWS: usize = 1000;

/// Size up to which a column keeps a dictionary of its values. With the usual 1 MiB, columns of hrefs kept one in which
/// each was there once.
const DICTIONARY_BYTES: usize = 64 << 10;

/// Writes items to a Parquet file, of which the bytes leave as soon as a row group is full.
///
/// Blocks, and keeps its thread busy: it belongs on a thread of its own.
///
/// ```ignore
/// let mut writer = Writer::new(out, Columns::default());
/// while let Some(items) = next_page()? {
///     writer.write(&items)?;
/// }
/// writer.finish()?;
/// ```
pub struct Writer<W: io::Write + Send> {
    /// Until the columns are decided; then in the file.
    out: Option<W>,
    columns: Columns,
    /// The first items, which decide the columns.
    sample: Vec<String>,
    sample_bytes: usize,
    file: Option<File<W>>,
    collections: Map<String, Value>,
    /// Whether rows are features that are no STAC items.
    are_features: bool,
}

impl<W: io::Write + Send> Writer<W> {
    /// Starts a file. Nothing is written yet.
    pub fn new(out: W, columns: Columns) -> Self {
        Self {
            out: Some(out),
            columns,
            sample: Vec::new(),
            sample_bytes: 0,
            file: None,
            collections: Map::new(),
            are_features: false,
        }
    }

    /// Says that rows are features that are no STAC items, so that the file is `GeoParquet` and claims no more.
    #[must_use]
    pub fn of_features(self) -> Self {
        Self { are_features: true, ..self }
    }

    /// Puts a collection into the file's metadata, so that the file can be understood alone. May be called at any time
    /// before [`Writer::finish`].
    pub fn add_collection(&mut self, id: &str, collection: Value) {
        self.collections.insert(id.to_owned(), collection);
    }

    /// Adds items, each the JSON text of one. Batches may be of any size, for they are cut and joined here.
    ///
    /// The first 4 MiB are kept until all of them were seen, because they decide the columns.
    ///
    /// # Errors
    /// [`Error::Item`] when a text is no JSON object, [`Error::Parquet`] when the output refuses the bytes. The file
    /// is then broken, and the writer of no more use.
    pub fn write(&mut self, items: &[impl AsRef<str>]) -> Result<()> {
        for item in items.iter().map(AsRef::as_ref) {
            if let Some(file) = &mut self.file {
                file.append(item)?;
                continue;
            }
            self.sample.push(item.to_owned());
            self.sample_bytes += item.len();
            if self.sample_bytes >= SAMPLE_BYTES {
                self.start()?;
            }
        }
        Ok(())
    }

    /// Writes what is left and the footer, and returns the output.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn finish(mut self) -> Result<W> {
        if self.file.is_none() {
            self.start()?;
        }
        let collections = (!self.are_features).then_some(&self.collections);
        self.file.ok_or_else(broken)?.finish(collections)
    }

    /// Decides the columns, and writes the items that were kept for it.
    pub(super) fn start(&mut self) -> Result<()> {
        let out = self.out.take().ok_or_else(broken)?;
        let sample = std::mem::take(&mut self.sample);
        let mut columns = std::mem::take(&mut self.columns);
        for (row, item) in sample.iter().enumerate() {
            columns.observe(&parsed(item, row as u64)?);
        }
        let mut file = File::create(out, columns.table())?;
        for item in sample {
            file.append(&item)?;
        }
        self.file = Some(file);
        Ok(())
    }
}

fn broken() -> ParquetError {
    ParquetError::General("an earlier error broke the file".to_owned())
}

/// A file with known columns.
struct File<W: io::Write + Send> {
    table: Table,
    schema: SchemaRef,
    writer: ArrowWriter<W>,
    /// Columns of Parquet.
    leaves: usize,
    /// Text of the items that are in the table but not in the writer.
    batch_bytes: usize,
    rows: u64,
}

impl<W: io::Write + Send> File<W> {
    fn create(out: W, table: Table) -> Result<Self> {
        let schema = Arc::new(table.schema());
        let writer = ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties(&schema)))?;
        let leaves = schema.flattened_fields().iter().filter(|field| !field.data_type().is_nested()).count();
        Ok(Self { table, schema, writer, leaves, batch_bytes: 0, rows: 0 })
    }

    fn append(&mut self, item: &str) -> Result<()> {
        self.table.append(parsed(item, self.rows)?);
        self.rows += 1;
        self.batch_bytes += item.len();
        if self.batch_bytes >= BATCH_BYTES || self.table.rows() * self.leaves >= BATCH_CELLS {
            self.encode()?;
        }
        Ok(())
    }

    /// Hands the rows of the table to the writer, and those of the writer out when they make a row group.
    fn encode(&mut self) -> Result<()> {
        self.batch_bytes = 0;
        self.writer.write(&self.table.finish(&self.schema))?;
        let is_full = self.writer.in_progress_size() >= ROW_GROUP_BYTES
            || self.writer.in_progress_rows() * self.leaves >= ROW_GROUP_CELLS;
        if is_full {
            self.writer.flush()?;
            self.writer.sync().map_err(ParquetError::from)?;
        }
        Ok(())
    }

    fn finish(mut self, collections: Option<&Map<String, Value>>) -> Result<W> {
        self.encode()?;
        let geo = metadata::geo(&self.table.extent(), self.table.has_heights());
        let stac = collections.map(metadata::stac);
        let stac = stac.map(|stac| ("stac-geoparquet", stac));
        for (key, value) in [Some(("geo", geo)), stac].into_iter().flatten() {
            self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value.to_string()));
        }
        Ok(self.writer.into_inner()?)
    }
}

fn parsed(item: &str, row: u64) -> Result<Map<String, Value>> {
    serde_json::from_str(item).map_err(|source| Error::Item { row, source })
}

/// Snappy, because it needs no memory: zstd makes about 0.6 of the bytes, but keeps 150 kB for every open column (30
/// MB for 200); gzip does the same for every page, and between the pages that stay, the heap came to 240 MB of holes.
///
/// Smallest and largest values are kept of what is asked for, and not of the parts of links and assets: they are what
/// the footer consists of.
fn properties(schema: &SchemaRef) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        // Each value is there once, or nearly so.
        .set_column_dictionary_enabled(ColumnPath::from("id"), false)
        .set_column_dictionary_enabled(ColumnPath::from("geometry"), false);
    for field in schema.fields() {
        let name = field.name();
        let with_statistics: Vec<ColumnPath> = match field.data_type() {
            DataType::Struct(numbers) if name == "bbox" => {
                numbers.iter().map(|number| ColumnPath::from(vec![name.clone(), number.name().clone()])).collect()
            }
            data_type if data_type.is_nested() || *data_type == DataType::Binary => Vec::new(),
            _ => vec![ColumnPath::from(name.clone())],
        };
        for path in with_statistics {
            properties = properties.set_column_statistics_enabled(path, EnabledStatistics::Chunk);
        }
    }
    properties.build()
}
