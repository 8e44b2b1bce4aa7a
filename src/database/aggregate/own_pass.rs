//! Groupings that take a pass of their own: an item is in several groups, or an index leads to those that are in any.

use sqlx::{Postgres, QueryBuilder, Row as _};

use super::{Grouping, Groups, PathGrouping, PathOf, keys::push_path_key};
use crate::database::{
    Database, Filter, Result,
    search::{Search, push_where},
};

/// The assets of an item as they were given: of places that differ between readers, the stored form
/// (`catalog::stored_item`).
const ASSETS: &str =
    r"('{' || regexp_replace(assets, '\u0001([^\u0002]*)\u0002[^\u0003]*\u0003', '\1', 'g') || '}')::json";

impl Database {
    pub(super) async fn in_a_pass_of_its_own(&self, search: &Search, by: &Grouping, most: usize) -> Result<Groups> {
        let search = narrowed(search, by);
        let mut query = QueryBuilder::new("");
        push_groups(&mut query, &search, by, most);
        let rows = self.all(&mut query, "aggregate items").await?;
        let whole: i64 = rows.first().map_or(0, |row| row.get("whole"));
        let counted: i64 = rows.iter().map(|row| row.get::<i64, _>("n")).sum();
        let groups: Vec<(String, i64)> =
            rows.iter().filter_map(|row| Some((row.get::<Option<_>, _>("key")?, row.get("n")))).collect();
        let without = counted - groups.iter().map(|(_, n)| n).sum::<i64>();
        let overflow = match by {
            _ if counted == whole => without,
            Grouping::Path(PathGrouping { of: PathOf::Id | PathOf::Property(_), .. }) => whole - counted,
            // Who is in a group that was left out may be in another one that was not.
            by => self.count_outside(&search, by, &groups).await?,
        };
        Ok(Groups { groups, overflow })
    }

    async fn count_outside(&self, search: &Search, by: &Grouping, groups: &[(String, i64)]) -> Result<i64> {
        let keys: Vec<String> = groups.iter().map(|(key, _)| key.clone()).collect();
        let mut query = QueryBuilder::new("select count(*) from items");
        push_where(&mut query, search);
        query.push(" and not exists (select from ");
        push_rows(&mut query, by);
        query.push(" e where e.key = any(").push_bind(keys).push("))");
        if let Grouping::Path(_) = by {
            query.push(" and exists (select from ");
            push_rows(&mut query, by);
            query.push(" e)");
        }
        self.one(&mut query, "aggregate items").await
    }
}

/// Asks only for items that can be in a group.
fn narrowed(search: &Search, by: &Grouping) -> Search {
    let below = match by {
        Grouping::Path(path) => path.below.as_deref().cloned(),
        _ => None,
    };
    let filter = [search.filter.clone(), below].into_iter().flatten().reduce(Filter::and);
    Search { filter, ..search.clone() }
}

pub(super) fn push_groups(query: &mut QueryBuilder<Postgres>, search: &Search, by: &Grouping, most: usize) {
    // Items without any element count, as those that are in no group; items outside of a prefix do not.
    let join = if matches!(by, Grouping::Path(_)) { " cross join lateral " } else { " left join lateral " };
    let on = if matches!(by, Grouping::Path(_)) { " e" } else { " e on true" };
    query.push("select key, n, whole from (select key, n, (sum(n) over ())::bigint as whole,");
    query.push(" row_number() over (partition by key is null order by n desc, key collate \"C\") as rank");
    query.push(" from (select e.key, count(*) as n from items").push(join);
    push_rows(query, by);
    query.push(on);
    push_where(query, search);
    query.push(" group by e.key) counted) ranked where rank <= ").push_bind(most as i64).push(" order by rank");
}

/// Writes a subquery of the keys that one item has, each once.
fn push_rows(query: &mut QueryBuilder<Postgres>, by: &Grouping) {
    match by {
        Grouping::Element(name) => {
            query.push("(select distinct value #>> '{}' as key from jsonb_array_elements(polder_array(properties -> ");
            query.push_bind(name.clone()).push(")) where jsonb_typeof(value) in ('string', 'number', 'boolean'))");
        }
        Grouping::Path(path) => push_path_rows(query, path),
        _ => _ = query.push("(select distinct name as key from json_object_keys(").push(ASSETS).push(") name)"),
    }
}

fn push_path_rows(query: &mut QueryBuilder<Postgres>, path: &PathGrouping) {
    let many = matches!(path.of, PathOf::AssetKey | PathOf::AssetHref);
    query.push(if many { "(select distinct " } else { "(select " });
    push_path_key(query, path);
    query.push(" as key from ");
    match &path.of {
        PathOf::Id => _ = query.push("(select id as v) s"),
        PathOf::Property(name) => {
            query.push("(select polder_text(properties -> ").push_bind(name.clone()).push(") as v) s");
        }
        PathOf::AssetKey => _ = query.push("json_object_keys(").push(ASSETS).push(") v"),
        PathOf::AssetHref => {
            query.push("(select value ->> 'href' as v from json_each(").push(ASSETS).push(")) s");
        }
    }
    query.push(" where starts_with(v, ").push_bind(path.prefix.clone()).push("))");
}
