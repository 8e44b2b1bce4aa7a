//! Searching items: what is asked becomes one statement with bound values, answered page by page.
//!
//! Pages go by key: newest first, and items of one time by collection and id. A page starts after the last item of
//! the one before, so items that come or go meanwhile neither repeat nor hide others.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder};

use super::{
    Database, Error, Result,
    items::{COLUMNS, ItemRow, item_row},
};
use crate::{catalog::Interval, spatial::Bbox};

/// A question about items. What is `None` is not asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Search {
    pub collections: Option<Vec<String>>,
    pub ids: Option<Vec<String>>,
    /// Degrees; `west > east` crosses the antimeridian.
    pub bbox: Option<Bbox>,
    pub datetime: Option<Interval>,
    /// `GeoJSON`, lon before lat.
    pub intersects: Option<String>,
    pub limit: usize,
    pub after: Option<PageKey>,
}

/// The place of an item in the order of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageKey {
    pub starts_at: DateTime<Utc>,
    pub collection: String,
    pub id: String,
}

/// Some answers, and where the next ones start.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub items: Vec<ItemRow>,
    pub next: Option<PageKey>,
}

impl PageKey {
    /// Writes the key as a token for a URL.
    pub fn token(&self) -> String {
        let micros = self.starts_at.timestamp_micros();
        URL_SAFE_NO_PAD.encode(format!("{micros}/{}/{}", self.collection.len(), self.collection.clone() + &self.id))
    }

    /// Reads a token.
    ///
    /// # Errors
    /// [`Error::PageKey`] when [`PageKey::token`] did not write it.
    pub fn parse(token: &str) -> Result<Self> {
        Self::read(token).ok_or_else(|| Error::PageKey(token.to_owned()))
    }

    fn read(token: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let (micros, rest) = text.split_once('/')?;
        let (length, names) = rest.split_once('/')?;
        let (collection, id) = names.split_at_checked(length.parse().ok()?)?;
        let starts_at = DateTime::from_timestamp_micros(micros.parse().ok()?)?;
        let whole = !names.contains('\0') && !id.is_empty();
        whole.then(|| Self { starts_at, collection: collection.to_owned(), id: id.to_owned() })
    }
}

impl Database {
    /// Returns the items that a search finds, at most `limit` of them.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub async fn search_items(&self, search: &Search) -> Result<Page> {
        let mut statement = statement(search);
        let rows = statement.build().fetch_all(&self.pool).await.map_err(Error::query("search items"))?;
        let mut items: Vec<ItemRow> = rows.iter().map(item_row).collect();
        let more = items.len() > search.limit;
        items.truncate(search.limit);
        let key = |item: &ItemRow| PageKey {
            starts_at: item.starts_at,
            collection: item.collection.clone(),
            id: item.id.clone(),
        };
        let next = if more { items.last().map(key) } else { None };
        Ok(Page { items, next })
    }

    /// Returns the plan that PostgreSQL makes for a search, for tests that watch over indexes.
    #[cfg(test)]
    async fn explain_search(&self, search: &Search) -> String {
        let mut explained = QueryBuilder::new("explain ");
        conditions(&mut explained, search);
        let rows: Vec<String> = explained.build_query_scalar().fetch_all(&self.pool).await.expect("a plan");
        rows.join("\n")
    }
}

fn statement(search: &Search) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("");
    conditions(&mut query, search);
    query
}

fn conditions(query: &mut QueryBuilder<Postgres>, search: &Search) {
    query.push("select ").push(COLUMNS).push(" from items where true");
    if let Some(collections) = &search.collections {
        query.push(" and collection = any(").push_bind(collections.clone()).push(")");
    }
    if let Some(ids) = &search.ids {
        query.push(" and id = any(").push_bind(ids.clone()).push(")");
    }
    if let Some(bbox) = search.bbox {
        within(query, bbox);
    }
    if let Some(geometry) = &search.intersects {
        // A ring that crosses itself would make PostGIS fail; made valid, it means what its author saw.
        query.push(" and st_intersects(geometry, st_makevalid(st_setsrid(st_force2d(st_geomfromgeojson(");
        query.push_bind(geometry.clone()).push(")), 4326)))");
    }
    if let Some(Interval { start, end }) = search.datetime {
        if let Some(start) = start {
            query.push(" and ends_at >= ").push_bind(start);
        }
        if let Some(end) = end {
            query.push(" and starts_at <= ").push_bind(end);
        }
    }
    if let Some(PageKey { starts_at, collection, id }) = &search.after {
        // The first comparison is what the index can use; the rest settles ties.
        query.push(" and starts_at <= ").push_bind(*starts_at).push(" and (starts_at < ").push_bind(*starts_at);
        query
            .push(" or (collection, id) > (")
            .push_bind(collection.clone())
            .push(", ")
            .push_bind(id.clone())
            .push("))");
    }
    query.push(" order by starts_at desc, collection, id limit ").push_bind(search.limit as i64 + 1);
}

fn within(query: &mut QueryBuilder<Postgres>, bbox: Bbox) {
    let Bbox { west, south, east, north } = bbox;
    let halves = if west <= east { vec![(west, east)] } else { vec![(west, 180.0), (-180.0, east)] };
    query.push(" and (");
    for (i, (west, east)) in halves.into_iter().enumerate() {
        query.push(if i == 0 { "" } else { " or " }).push("st_intersects(geometry, st_makeenvelope(");
        query.push_bind(west).push(", ").push_bind(south).push(", ").push_bind(east).push(", ").push_bind(north);
        query.push(", 4326))");
    }
    query.push(")");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalog::{
            Photo, PhotoName, StoredItem, Taken,
            examples::{noon, photo, scheme},
        },
        database::testing::with_database,
    };

    const NEAR: Bbox = Bbox { west: 5.0, south: 51.9, east: 5.2, north: 52.1 };
    const FAR: Bbox = Bbox { west: 6.0, south: 51.9, east: 6.2, north: 52.1 };

    /// Photos of one flight, a minute apart but for the last two, which are of one time.
    async fn three_photos(database: &Database) {
        let minutes = [0, 1, 1];
        let photos = ["a.jpg", "b.jpg", "c.jpg"].iter().zip(minutes).map(|(name, minute)| Photo {
            name: PhotoName::for_file(name),
            taken: Taken::At(noon() + chrono::TimeDelta::minutes(minute)),
            ..photo()
        });
        let items: Vec<StoredItem> = photos.map(|photo| StoredItem::of(&photo.item(&scheme()), &[]).unwrap()).collect();
        database.upsert_items(&items).await.unwrap();
    }

    async fn found(database: &Database, search: Search) -> Vec<String> {
        let page = database.search_items(&Search { limit: 10, ..search }).await.unwrap();
        page.items
            .iter()
            .map(|item| item.id.rsplit_once('.').unwrap().0.rsplit_once('.').unwrap().1.to_owned())
            .collect()
    }

    #[tokio::test]
    async fn each_condition_keeps_what_it_says() {
        with_database(|database| async move {
            three_photos(&database).await;
            let all = ["b", "c", "a"];
            let none: [&str; 0] = [];
            assert_eq!(found(&database, Search::default()).await, all);
            assert_eq!(found(&database, Search { bbox: Some(NEAR), ..Search::default() }).await, all);
            assert_eq!(found(&database, Search { bbox: Some(FAR), ..Search::default() }).await, none);
            let across = Bbox { west: 170.0, east: 5.2, ..NEAR };
            assert_eq!(found(&database, Search { bbox: Some(across), ..Search::default() }).await, all);
            let until = |text: &str| Some(Interval::parse(text).unwrap());
            let noon_only = Search { datetime: until("../2025-06-23T10:00:30Z"), ..Search::default() };
            assert_eq!(found(&database, noon_only).await, ["a"]);
            let later = Search { datetime: until("2025-06-23T10:00:30Z/.."), ..Search::default() };
            assert_eq!(found(&database, later).await, ["b", "c"]);
            let exact = Search { datetime: until("2025-06-23T12:00:00+02:00"), ..Search::default() };
            assert_eq!(found(&database, exact).await, ["a"]);
            let ids = Search { ids: Some(vec!["dijk-a.flight-2025.c.jpg".into()]), ..Search::default() };
            assert_eq!(found(&database, ids).await, ["c"]);
            let other = Search { collections: Some(vec!["drone-ortho".into()]), ..Search::default() };
            assert_eq!(found(&database, other).await, none);
        })
        .await;
    }

    #[tokio::test]
    async fn a_ring_that_crosses_itself_finds_what_its_halves_cover() {
        with_database(|database| async move {
            three_photos(&database).await;
            let bow_tie =
                r#"{"type":"Polygon","coordinates":[[[5.0,51.9],[5.2,52.1],[5.2,51.9],[5.0,52.1],[5.0,51.9]]]}"#;
            let search = Search { intersects: Some(bow_tie.into()), ..Search::default() };
            assert_eq!(found(&database, search).await.len(), 3);
        })
        .await;
    }

    #[tokio::test]
    async fn pages_join_without_gap_or_repeat_also_at_equal_times_and_while_items_come() {
        with_database(|database| async move {
            three_photos(&database).await;
            let mut search = Search { limit: 1, ..Search::default() };
            let mut ids = Vec::new();
            loop {
                let page = database.search_items(&search).await.unwrap();
                ids.extend(page.items.into_iter().map(|item| item.id));
                // A newer photo arrives while somebody is paging: it belongs to pages that were passed.
                let newer = Photo {
                    name: PhotoName::for_file("new.jpg"),
                    taken: Taken::At(noon() + chrono::TimeDelta::days(1)),
                    ..photo()
                };
                database.upsert_item(&StoredItem::of(&newer.item(&scheme()), &[]).unwrap()).await.unwrap();
                match page.next {
                    Some(key) => search.after = Some(PageKey::parse(&key.token()).unwrap()),
                    None => break,
                }
            }
            assert_eq!(ids, ["b", "c", "a"].map(|name| format!("dijk-a.flight-2025.{name}.jpg")));
        })
        .await;
    }

    #[tokio::test]
    async fn a_small_bbox_is_served_by_the_spatial_index() {
        with_database(|database| async move {
            sqlx::query(
                "insert into items (collection, id, geometry, starts_at, ends_at, properties, body, links, assets, digest)
                select 'drone-raw', n::text, st_setsrid(st_makepoint(n % 300 - 150, n / 300 - 80), 4326), now(), now(),
                    '{}', '', '', '', ''
                from generate_series(1, 48000) n",
            )
            .execute(&database.pool)
            .await
            .unwrap();
            sqlx::query("analyze items").execute(&database.pool).await.unwrap();
            let plan = database.explain_search(&Search { bbox: Some(NEAR), limit: 10, ..Search::default() }).await;
            assert!(plan.contains("items_geometry"), "{plan}");
            let plan = database.explain_search(&Search { limit: 10, ..Search::default() }).await;
            assert!(plan.contains("items_page") && !plan.contains("Sort Key: starts_at DESC, collection"), "{plan}");
        })
        .await;
    }

    #[test]
    fn a_key_comes_back_from_its_token_whatever_the_names_are() {
        for (collection, id) in [("drone-raw", "p.f.a.jpg"), ("", "/"), ("a/b", "é \"x\""), ("9", "9/9")] {
            let starts_at = "2025-06-23T10:00:00.123456Z".parse().unwrap();
            let key = PageKey { starts_at, collection: collection.into(), id: id.into() };
            assert_eq!(PageKey::parse(&key.token()).unwrap(), key);
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for wrong in ["", "x", "AAAA", "MS8y", "MS85OTk5OTk5OTk5OTk5OTk5OTk5L2Fi", "é"] {
            assert!(PageKey::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
