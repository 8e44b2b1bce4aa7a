//! An answer as a table: stac-geoparquet, sent off while it is written.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::{StreamExt as _, stream};

use super::{
    collections::{collection_json, told},
    page::{Reading, Shape, broken_off, typed},
};
use crate::{
    api::{AppState, problem::Problem},
    catalog::geoparquet::{Columns, PARQUET, Writer},
    database::{CollectionRow, CollectionSearch, ItemRow},
};

/// Bytes that are written and not yet sent.
#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Vec<u8>>>);

impl Pipe {
    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes everything that is read as one table.
pub(super) async fn answer(state: &AppState, reading: Reading, shape: Shape) -> Result<Response, Problem> {
    let ids = reading.search().collections.clone();
    let rows = state.database.search_collections(&CollectionSearch { ids, ..CollectionSearch::default() }).await?;
    let pipe = Pipe::default();
    let rows: Vec<CollectionRow> = rows.into_iter().map(|row| told(&shape.reader, row)).collect();
    let writer = writer(pipe.clone(), &rows, &shape.base);
    let chunks = Box::pin(reading.chunks());
    let bytes =
        stream::try_unfold((chunks, Some(writer), shape, pipe), |(mut chunks, writer, shape, pipe)| async move {
            let Some(writer) = writer else { return Ok(None) };
            let chunk = chunks.next().await.transpose().map_err(broken_off)?;
            // Encoding keeps a thread busy for longer than requests beside it should wait.
            let (writer, shape) = tokio::task::spawn_blocking(move || encode(writer, shape, chunk)).await??;
            Ok::<_, io::Error>(Some((pipe.take(), (chunks, writer, shape, pipe))))
        });
    Ok(typed(Body::from_stream(bytes.fuse()), PARQUET))
}

fn writer(pipe: Pipe, rows: &[CollectionRow], base: &str) -> Writer<Pipe> {
    let properties = rows.iter().flat_map(|row| &row.summary.properties);
    let properties = properties.map(|(name, property)| (name.as_str(), property.kinds.keys().copied()));
    let assets = rows.iter().flat_map(|row| row.summary.assets.keys()).map(String::as_str);
    let mut writer = Writer::new(pipe, Columns::new(properties, assets));
    for row in rows {
        writer.add_collection(&row.id, collection_json(row, base));
    }
    writer
}

/// Adds a chunk to the table, or ends it when there is none.
fn encode(
    mut writer: Writer<Pipe>,
    shape: Shape,
    chunk: Option<(Vec<ItemRow>, Option<crate::database::Cursor>)>,
) -> io::Result<(Option<Writer<Pipe>>, Shape)> {
    let Some((items, _)) = chunk else {
        writer.finish().map_err(io::Error::other)?;
        return Ok((None, shape));
    };
    let texts: Vec<String> = items
        .iter()
        .map(|item| {
            let mut text = String::new();
            shape.write(&mut text, item);
            text
        })
        .collect();
    writer.write(&texts).map_err(io::Error::other)?;
    Ok((Some(writer), shape))
}
