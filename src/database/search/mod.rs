//! Searching items: what is asked becomes one statement with bound values, answered page by page.
//!
//! Pages go by key ([`order`]): a page starts behind the last item of the one before, so items that come or go
//! meanwhile neither repeat nor hide others. Each of them is a search of its own, so an answer of many items is read in
//! several and never held as a whole.

mod conditions;
mod count;
mod cursor;
mod order;
mod statement;

use sqlx::{Postgres, QueryBuilder, Row as _, postgres::PgRow};

pub(super) use self::conditions::{push_where, push_within};
use self::{
    conditions::{During, push_where_during},
    order::{Order, Stage},
};
pub use self::{
    count::Matched,
    cursor::Cursor,
    order::{SortField, SortKey},
};
use super::{
    Database, Error, Result,
    filter::Filter,
    items::{COLUMNS, COUNTED_COLUMNS, ItemRow, item_row},
};
use crate::{catalog::Interval, spatial::Bbox};

/// Items that are passed at most to find where the page before starts.
const LONGEST_PAGE: usize = 10_000;

/// A question about items. What is `None` is not asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Search {
    pub collections: Option<Vec<String>>,
    pub ids: Option<Vec<String>>,
    /// Degrees; `west > east` crosses the antimeridian.
    pub bbox: Option<Bbox>,
    pub datetime: Option<Interval>,
    /// When the item begins, which tells more than `datetime` where items last.
    pub starts: Option<Interval>,
    /// `GeoJSON`, lon before lat.
    pub intersects: Option<String>,
    /// Terms of which an item has any among its words.
    pub words: Option<Vec<String>>,
    pub filter: Option<Filter>,
    /// Newest first when empty.
    pub sort: Vec<SortKey>,
    pub limit: usize,
    pub cursor: Option<Cursor>,
}

/// Some answers, and where those around them are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub items: Vec<ItemRow>,
    pub next: Option<Cursor>,
    pub prev: Option<Cursor>,
}

/// How the items of a page are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// As PostgreSQL thinks best.
    Planned,
    /// All that match are looked at, then sorted.
    Enumerated,
    /// As PostgreSQL thinks best, when each row tells how many there are.
    Counted,
}

impl Search {
    /// Tells whether it finds only what lies somewhere.
    fn narrows_space(&self) -> bool {
        self.bbox.is_some() || self.intersects.is_some() || self.filter.as_ref().is_some_and(Filter::narrows_space)
    }

    /// Tells whether items of an interval are asked for, some of which may have begun before it.
    fn has_two_parts(&self) -> bool {
        self.datetime.is_some_and(|interval| interval.start.is_some())
    }

    /// Names the properties that are sorted or filtered by.
    fn properties(&self) -> impl Iterator<Item = String> {
        let sorted = self.sort.iter().filter_map(|key| match &key.field {
            SortField::Property(name) => Some(name.clone()),
            _ => None,
        });
        let filtered = self.filter.iter().flat_map(Filter::properties);
        sorted.chain(filtered.collect::<Vec<_>>())
    }

    fn order(&self) -> Order {
        Order::new(&self.sort)
    }

    /// Tells whether nothing is asked but which collections.
    fn is_whole_collections(&self) -> bool {
        let Self { ids, bbox, datetime, starts, intersects, words, filter, .. } = self;
        let asked = [ids.is_some(), bbox.is_some(), datetime.is_some(), starts.is_some()];
        intersects.is_none() && words.is_none() && filter.is_none() && !asked.contains(&true)
    }
}

impl Database {
    /// Returns the items that a search finds, at most `limit` of them.
    ///
    /// # Errors
    /// [`Error::PageToken`] when the cursor is of another search, [`Error::Query`].
    pub async fn search_items(&self, search: &Search) -> Result<Page> {
        let way = self.way(search).await?;
        self.page_by(search, way).await
    }

    async fn page_by(&self, search: &Search, way: Way) -> Result<Page> {
        self.wanted.note(search.properties());
        let order = search.order();
        let start = self.start_of(search).await?;
        let found = self.rows(search, &order, start.as_ref(), COLUMNS, way).await?;
        let mut page = page(found, search.limit, &order, start.is_some());
        let matched = search.cursor.as_ref().and_then(|cursor| cursor.matched);
        for cursor in [&mut page.next, &mut page.prev].into_iter().flatten() {
            cursor.matched = matched;
        }
        Ok(page)
    }

    /// Returns the first items of a search, and counts them all on the way.
    async fn counted_page(&self, search: &Search) -> Result<(Page, Matched)> {
        self.wanted.note(search.properties());
        let order = search.order();
        let found = self.rows(search, &order, None, COUNTED_COLUMNS, Way::Counted).await?;
        let matched = found.first().map_or(0, |row| row.get("matched"));
        Ok((page(found, search.limit, &order, false), Matched::Exactly(matched)))
    }

    /// Finds where a page starts: at its cursor, or when that looks back, a page of `limit` items before it. Nothing is
    /// the very beginning, also when there is less than a page before.
    ///
    /// # Errors
    /// As [`Database::search_items`]; an answer that is longer than a page has none before it.
    pub async fn start_of(&self, search: &Search) -> Result<Option<Cursor>> {
        let Some(cursor) = search.cursor.as_ref().filter(|cursor| cursor.backward) else {
            return Ok(search.cursor.clone());
        };
        if search.limit > LONGEST_PAGE {
            return Err(Error::PageToken(cursor.token()));
        }
        let order = search.order();
        let passed = self.rows(search, &order, Some(cursor), "1", self.way(search).await?).await?;
        let before = passed.get(search.limit);
        Ok(before.map(|row| Cursor { keys: order.keys_of(row), backward: false, matched: cursor.matched }))
    }

    /// Returns the rows behind a cursor (or before it, from there backwards), one more than the limit.
    async fn rows(
        &self,
        search: &Search,
        order: &Order,
        cursor: Option<&Cursor>,
        columns: &'static str,
        way: Way,
    ) -> Result<Vec<PgRow>> {
        let mut found = Vec::new();
        for stage in order.stages(cursor)? {
            let mut query = QueryBuilder::new("select ");
            query.push(columns);
            let wanted = search.limit + 1 - found.len();
            push_page(&mut query, search, order, stage, cursor, wanted, way)?;
            found.extend(self.all(&mut query, "search items").await?);
            if found.len() > search.limit {
                break;
            }
        }
        Ok(found)
    }

    /// Returns the plan that PostgreSQL makes for a search, for tests that watch over indexes.
    #[cfg(test)]
    async fn explain_search(&self, search: &Search) -> String {
        let order = search.order();
        let stage = order.stages(search.cursor.as_ref()).unwrap()[0];
        let mut explained = QueryBuilder::new("explain select ");
        explained.push(COLUMNS);
        push_page(&mut explained, search, &order, stage, search.cursor.as_ref(), search.limit + 1, Way::Planned)
            .unwrap();
        let rows: Vec<String> = explained.build_query_scalar().fetch_all(&self.pool).await.expect("a plan");
        rows.join("\n")
    }
}

/// Makes a page of the rows of one that are there, of which the last may be one too many.
fn page(mut found: Vec<PgRow>, limit: usize, order: &Order, resumed: bool) -> Page {
    let more = found.len() > limit;
    found.truncate(limit);
    let at = |row: Option<&_>, backward| row.map(|row| Cursor { keys: order.keys_of(row), backward, matched: None });
    let next = if more { at(found.last(), false) } else { None };
    let prev = if resumed { at(found.first(), true) } else { None };
    Page { items: found.iter().map(item_row).collect(), next, prev }
}

/// Writes what follows the columns.
fn push_page(
    query: &mut QueryBuilder<Postgres>,
    search: &Search,
    order: &Order,
    stage: Stage,
    cursor: Option<&Cursor>,
    limit: usize,
    way: Way,
) -> Result<()> {
    order.push_columns(query);
    let push_tail = |query: &mut QueryBuilder<Postgres>| -> Result<()> {
        order.push_conditions(query, stage, cursor)?;
        order.push_order(query, stage, cursor.is_some_and(|cursor| cursor.backward));
        query.push(" limit ").push_bind(limit as i64);
        Ok(())
    };
    match way {
        Way::Planned if search.has_two_parts() && order.goes_by_time() => {
            // PostgreSQL knows no way to take both from indexes in the order of time: it would find and sort them all.
            for (part, before) in [
                (During::Beginning, " from ((select * from items"),
                (During::Lasting, ") union all (select * from items"),
            ] {
                query.push(before);
                push_where_during(query, search, part);
                push_tail(query)?;
            }
            query.push(")) items where true");
        }
        Way::Planned | Way::Counted => {
            query.push(" from items");
            push_where(query, search);
        }
        Way::Enumerated => {
            query.push(" from (select * from items");
            push_where(query, search);
            // PostgreSQL plans what is inside without knowing that few of it are wanted.
            query.push(" offset 0) items where true");
        }
    }
    push_tail(query)
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
        database.upsert_items(&items, None).await.unwrap();
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
            let all = ["c", "b", "a"];
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
            assert_eq!(found(&database, later).await, ["c", "b"]);
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
                    Some(cursor) => search.cursor = Some(Cursor::parse(&cursor.token()).unwrap()),
                    None => break,
                }
            }
            assert_eq!(ids, ["c", "b", "a"].map(|name| format!("dijk-a.flight-2025.{name}.jpg")));
        })
        .await;
    }

    #[tokio::test]
    async fn both_ways_find_the_same_in_each_order() {
        with_database(|database| async move {
            three_photos(&database).await;
            let property = SortKey { field: SortField::Property("gsd".into()), descending: false };
            let end = SortKey { field: SortField::End, descending: true };
            for sort in [vec![], vec![property], vec![end]] {
                let mut search = Search { bbox: Some(NEAR), sort, limit: 2, ..Search::default() };
                let first = database.page_by(&search, Way::Planned).await.unwrap();
                assert_eq!(database.page_by(&search, Way::Enumerated).await.unwrap(), first);
                let (counted, matched) = database.first_page(&search).await.unwrap();
                assert_eq!((counted, matched), (first.clone(), Matched::Exactly(3)));
                search.cursor = first.next;
                let second = database.page_by(&search, Way::Planned).await.unwrap();
                assert_eq!(second.items.len(), 1);
                assert_eq!(database.page_by(&search, Way::Enumerated).await.unwrap(), second);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_box_ends_where_it_says_and_may_be_a_line_or_a_place() {
        with_database(|database| async move {
            // A row of lozenges, tip to tip, and places a millimetre on either side of 5.1.
            sqlx::query(
                "insert into items (collection, id, geometry, starts_at, ends_at, properties, body, links, assets, digest)
                select 'drone-raw', id, st_setsrid(g, 4326), now(), now(), '{}', '', '', '', '' from (
                    select 'lozenge' || n, st_geomfromtext(format('POLYGON((%1$s 52,%2$s 52.01,%3$s 52,%2$s 51.99,%1$s 52))',
                        5.2 + n * 0.01, 5.205 + n * 0.01, 5.21 + n * 0.01)) from generate_series(0, 9) n
                    union all select 'outside', st_makepoint(5.1 - 1e-8, 52) union all select 'inside', st_makepoint(5.1 + 1e-8, 52)
                ) i (id, g)",
            )
            .execute(&database.pool)
            .await
            .unwrap();
            for ([west, south, east, north], expected) in [
                ([5.1, 51.9, 5.15, 52.1], vec!["inside"]),
                // A line through three, one through one, a place in one.
                ([5.222, 52.0, 5.248, 52.0], vec!["lozenge4", "lozenge3", "lozenge2"]),
                ([5.225, 51.995, 5.225, 52.005], vec!["lozenge2"]),
                ([5.225, 52.0, 5.225, 52.0], vec!["lozenge2"]),
                // In the box of two, but in neither of them.
                ([5.2095, 52.005, 5.2105, 52.009], vec![]),
            ] {
                let bbox = Search { bbox: Some(Bbox { west, south, east, north }), limit: 20, ..Search::default() };
                let filter = Filter::parse_text(&format!("s_intersects(geometry,BBOX({west},{south},{east},{north}))"));
                let same = Search { filter: Some(filter.unwrap()), limit: 20, ..Search::default() };
                for search in [bbox, same] {
                    let found: Vec<String> =
                        database.search_items(&search).await.unwrap().items.into_iter().map(|item| item.id).collect();
                    assert_eq!(found, expected, "{west} {south} {east} {north}");
                }
            }
        })
        .await;
    }

    #[tokio::test]
    async fn items_that_last_into_an_interval_have_their_place_among_those_that_begin_in_it() {
        with_database(|database| async move {
            sqlx::query(
                "insert into items (collection, id, starts_at, ends_at, properties, body, links, assets, digest)
                select 'drone-raw', n::text, '2025-06-01Z'::timestamptz + n * interval '1 hour',
                    '2025-06-01Z'::timestamptz + (n + case when n % 7 = 0 then 30 else 0 end) * interval '1 hour',
                    '{}', '', '', '', ''
                from generate_series(100, 199) n",
            )
            .execute(&database.pool)
            .await
            .unwrap();
            // Hours 150 to 170: 21 begin then; 126, 133, 140 and 147 last into it.
            let datetime = Some(Interval::parse("2025-06-07T06:00:00Z/2025-06-08T02:00:00Z").unwrap());
            let by_start = |descending| vec![SortKey { field: SortField::Start, descending }];
            for sort in [vec![], by_start(true), by_start(false)] {
                let all = Search { datetime, sort, limit: 100, ..Search::default() };
                let plain = database.page_by(&all, Way::Counted).await.unwrap();
                assert_eq!(plain.items.len(), 25);
                assert_eq!(database.page_by(&all, Way::Planned).await.unwrap(), plain);
                let (first, matched) = database.first_page(&Search { limit: 10, ..all.clone() }).await.unwrap();
                assert_eq!((first.items.as_slice(), matched), (&plain.items[..10], Matched::Exactly(25)));
                let mut page = Search { limit: 10, cursor: first.next, ..all.clone() };
                let second = database.page_by(&page, Way::Planned).await.unwrap();
                assert_eq!(second.items, plain.items[10..20]);
                page.cursor = second.next;
                let third = database.page_by(&page, Way::Planned).await.unwrap();
                assert_eq!(third.items, plain.items[20..]);
                page.cursor = third.prev;
                assert_eq!(database.search_items(&page).await.unwrap().items, second.items);
            }
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
            assert!(plan.contains("items_order") && !plan.contains("Sort Key: starts_at DESC, collection"), "{plan}");
        })
        .await;
    }
}
