//! Writing new items as PostgreSQL takes them fastest: COPY in the binary format (PostgreSQL manual, "COPY", "Binary
//! Format").
//!
//! Against one `insert` of arrays this spares the server taking the arrays apart, reading each geometry from JSON, and
//! a look-up of the table's pages for each row: about a quarter of its time.

use chrono::{DateTime, TimeZone as _, Utc};
use sqlx::PgConnection;
use tokio::sync::mpsc;

use super::write::{Changes, note, refused};
use crate::{
    catalog::StoredItem,
    database::{AuditOpen, Database, Error, Result, audit::sign},
};

const STATEMENT: &str =
    "copy items (collection, id, geometry, starts_at, ends_at, properties, body, links, assets, digest)
    from stdin (format binary)";

const COLUMNS: u16 = 10;
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: &[u8] = &[0xff, 0xff];
const JSONB_VERSION: u8 = 1;

/// New items, ready to be sent.
#[derive(Debug, Default)]
pub struct NewItems {
    rows: Vec<u8>,
    count: usize,
    changes: Changes,
    /// Collections and ids of those whose shapes PostGIS must look at.
    doubtful: [Vec<String>; 2],
}

/// What comes to [`Database::insert_many`].
#[derive(Debug)]
pub enum Feed {
    Items(NewItems),
    /// That was all. Without it nothing is written.
    Done,
}

impl NewItems {
    /// Packs some items. They come in the order of their ids, also from one feed to the next, so that two writers of
    /// the same items wait for each other and never deadlock.
    pub fn of<'a>(items: impl IntoIterator<Item = &'a StoredItem>) -> Self {
        let mut new = Self::default();
        for item in items {
            new.count += 1;
            push_row(&mut new.rows, item);
            new.changes.entry(item.collection.clone()).or_default().added.add(&item.summary);
            if item.geometry.as_ref().is_some_and(|shape| !shape.surely_valid) {
                let [collections, ids] = &mut new.doubtful;
                collections.push(item.collection.clone());
                ids.push(item.id.clone());
            }
        }
        new
    }
}

impl Database {
    /// Writes many new items as they come, all or none. `by` leaves a line in the audit.
    ///
    /// One COPY takes them all, so PostgreSQL works on some while the next are on their way.
    ///
    /// # Errors
    /// As [`Database::insert_items`], and [`Error::Unfinished`] when the feed ends without [`Feed::Done`]; nothing is
    /// written then.
    pub async fn insert_many(&self, mut feed: mpsc::Receiver<Feed>, by: Option<&AuditOpen>) -> Result<()> {
        let mut transaction = self.pool.begin().await.map_err(Error::query("write items"))?;
        let mut copy = transaction.copy_in_raw(STATEMENT).await.map_err(Error::query("write items"))?;
        let mut all = NewItems { rows: HEADER.to_vec(), ..NewItems::default() };
        let complete = loop {
            let (next, last) = match feed.recv().await {
                Some(Feed::Items(next)) => (next, false),
                Some(Feed::Done) => (NewItems { rows: TRAILER.to_vec(), ..NewItems::default() }, true),
                None => break false,
            };
            all.take(next);
            if let Err(error) = copy.send(std::mem::take(&mut all.rows)).await {
                // What PostgreSQL has to say about it comes with the end.
                return Err(refused(copy.abort("the items could not be sent").await.err().unwrap_or(error)));
            }
            if last {
                break true;
            }
        };
        if !complete {
            copy.abort("not all of the items came").await.map_err(Error::query("write items"))?;
            return Err(Error::Unfinished);
        }
        copy.finish().await.map_err(refused)?;
        mend_shapes(&mut transaction, &all.doubtful).await?;
        note(&mut transaction, &all.changes).await?;
        sign(&mut transaction, by, all.count).await?;
        transaction.commit().await.map_err(Error::query("write items"))
    }
}

impl NewItems {
    fn take(&mut self, next: Self) {
        if self.rows.is_empty() {
            self.rows = next.rows;
        } else {
            self.rows.extend(next.rows);
        }
        self.count += next.count;
        for (collection, change) in next.changes {
            self.changes.entry(collection).or_default().added.add(&change.added);
        }
        for (own, next) in self.doubtful.iter_mut().zip(next.doubtful) {
            own.extend(next);
        }
    }
}

/// A shape that crosses itself is searched as what its author saw: PostGIS fails on it otherwise, in a search of somebody
/// who knows nothing of it.
async fn mend_shapes(connection: &mut PgConnection, [collections, ids]: &[Vec<String>; 2]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update items
        set geometry = st_makevalid(geometry, 'method=structure keepcollapsed=true')
        where (collection, id) in (select * from unnest($1::text[], $2::text[])) and not st_isvalid(geometry)",
    )
    .bind(collections)
    .bind(ids)
    .execute(connection)
    .await
    .map(drop)
    .map_err(Error::query("mend the shapes of items"))
}

fn push_row(out: &mut Vec<u8>, item: &StoredItem) {
    out.extend(COLUMNS.to_be_bytes());
    push(out, item.collection.as_bytes());
    push(out, item.id.as_bytes());
    match &item.geometry {
        Some(shape) => push(out, &shape.ewkb),
        None => out.extend((-1_i32).to_be_bytes()),
    }
    push(out, &since_2000(item.starts_at).to_be_bytes());
    push(out, &since_2000(item.ends_at).to_be_bytes());
    out.extend((item.properties.len() as i32 + 1).to_be_bytes());
    out.push(JSONB_VERSION);
    out.extend(item.properties.as_bytes());
    for text in [&item.text.body, &item.text.links, &item.text.assets, &item.digest] {
        push(out, text.as_bytes());
    }
}

fn push(out: &mut Vec<u8>, field: &[u8]) {
    out.extend((field.len() as i32).to_be_bytes());
    out.extend(field);
}

/// Microseconds since the beginning of 2000, which is how PostgreSQL counts.
fn since_2000(time: DateTime<Utc>) -> i64 {
    let epoch = Utc.with_ymd_and_hms(2000, 1, 1, 0, 0, 0).single().unwrap_or_default();
    time.timestamp_micros() - epoch.timestamp_micros()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::database::testing::with_database;

    fn item(number: usize, geometry: &Value) -> StoredItem {
        let mut text = json!({
            "type": "Feature", "stac_version": "1.1.0", "id": format!("i{number:02}"), "collection": "drone-raw",
            "geometry": geometry, "properties": { "datetime": "1969-07-20T20:17:40.123456Z", "x": "é\u{1F6F8}" }, "assets": {},
            "links": [], "bbox": [0, 0, 9, 9],
        });
        if geometry.is_null() {
            text.as_object_mut().unwrap().remove("bbox");
        }
        StoredItem::parse(&text.to_string(), &[]).unwrap()
    }

    /// Sends two items at a time.
    async fn copied(database: &Database, items: &[StoredItem]) -> Result<()> {
        let (feed, fed) = mpsc::channel(1);
        let send = async {
            for some in items.chunks(2) {
                // When nobody takes it, the writer has an error to tell.
                _ = feed.send(Feed::Items(NewItems::of(some))).await;
            }
            _ = feed.send(Feed::Done).await;
        };
        tokio::join!(send, database.insert_many(fed, None)).1
    }

    /// Each way of writing must leave what PostGIS reads from the `GeoJSON`, made valid.
    #[tokio::test]
    async fn a_copied_row_is_the_inserted_row_and_each_geometry_is_that_of_postgis() {
        let ring = json!([[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]);
        let bow_tie = json!([[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]);
        let hole = json!([[0.5, 0.5], [1, 0.5], [1, 1], [0.5, 0.5]]);
        let geometries = [
            json!(null),
            json!({"type": "Point", "coordinates": [5.123_456_789_012_345, -52.1, 3]}),
            json!({"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]}),
            json!({"type": "LineString", "coordinates": [[1, 2, 9], [3, 4, 9]]}),
            json!({"type": "LineString", "coordinates": [[1, 2], [1, 2]]}),
            json!({"type": "MultiLineString", "coordinates": [[[1, 2], [3, 4]], [[5, 6], [7, 8], [9, 9]]]}),
            json!({"type": "Polygon", "coordinates": [ring]}),
            json!({"type": "Polygon", "coordinates": [[[5, 5], [5, 5], [5, 5], [5, 5]]]}),
            json!({"type": "Polygon", "coordinates": [bow_tie]}),
            json!({"type": "Polygon", "coordinates": [ring, hole]}),
            json!({"type": "MultiPolygon", "coordinates": [[ring, hole], [[[5, 5], [6, 5], [6, 6], [5, 5]]]]}),
            json!({"type": "MultiPolygon", "coordinates": []}),
            json!({"type": "GeometryCollection", "geometries": [
                {"type": "Point", "coordinates": [1, 2]},
                {"type": "Polygon", "coordinates": [bow_tie]},
            ]}),
        ];
        with_database(|database| async move {
            let items: Vec<StoredItem> = geometries.iter().enumerate().map(|(i, g)| item(i, g)).collect();
            let rows = || async {
                sqlx::query_as::<_, (String, Option<String>, String)>(
                    "select id, st_asewkt(geometry), (to_jsonb(i) - 'geometry' - 'created_at' - 'updated_at')::text
                    from items i order by id",
                )
                .fetch_all(&database.pool)
                .await
                .unwrap()
            };
            database.upsert_items(&items, None).await.unwrap();
            let inserted = rows().await;
            sqlx::query("delete from items").execute(&database.pool).await.unwrap();
            database.insert_items(&items, None).await.unwrap();
            assert_eq!(rows().await, inserted);
            sqlx::query("delete from items").execute(&database.pool).await.unwrap();
            copied(&database, &items).await.unwrap();
            assert_eq!(rows().await, inserted);
            for (geometry, (id, written, _)) in geometries.iter().zip(&inserted) {
                let expected: Option<String> = sqlx::query_scalar(
                    "select st_asewkt(case when st_isvalid(g) then g else st_makevalid(g, 'method=structure keepcollapsed=true') end)
                    from st_setsrid(st_force2d(st_geomfromgeojson($1)), 4326) g",
                )
                .bind((!geometry.is_null()).then(|| geometry.to_string()))
                .fetch_one(&database.pool)
                .await
                .unwrap();
                assert_eq!(*written, expected, "{id}: {geometry}");
            }
            let known = [item(20, &json!(null)), item(3, &json!(null))];
            let mut stray = [item(22, &json!(null)), item(21, &json!(null))];
            stray[1].collection = "nobody".to_owned();
            for twice in [copied(&database, &known).await, database.insert_items(&known, None).await] {
                assert!(matches!(twice, Err(Error::ItemExists(_, ref id)) if id == "i03"), "{twice:?}");
            }
            for unknown in [copied(&database, &stray).await, database.insert_items(&stray, None).await] {
                assert!(matches!(unknown, Err(Error::UnknownCollection(ref name)) if name == "nobody"), "{unknown:?}");
            }
            let (feed, fed) = mpsc::channel(1);
            feed.send(Feed::Items(NewItems::of(&[item(30, &json!(null))]))).await.unwrap();
            drop(feed);
            assert!(matches!(database.insert_many(fed, None).await, Err(Error::Unfinished)));
            assert_eq!(rows().await.len(), geometries.len(), "all or none, and the connection works on");
            let emptied = inserted.iter().find(|(_, written, _)| written.as_deref() == Some("SRID=4326;POLYGON EMPTY"));
            assert!(emptied.is_none(), "{emptied:?}");
        })
        .await;
    }
}
