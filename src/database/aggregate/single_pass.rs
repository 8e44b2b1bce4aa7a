//! Many groupings, least and greatest values in one pass over the items.

use sqlx::{Postgres, QueryBuilder, Row as _, postgres::PgRow};

use super::{Aggregate, Aggregated, Grouping, Groups, Measure, keys::Values};
use crate::database::{
    Database, Result,
    search::{Search, push_where},
};

/// What one pass over the items counts and compares; each grouping and each measure once.
#[derive(Default)]
struct Pass<'a> {
    groupings: Vec<&'a Grouping>,
    /// Each with whether its least value is wanted, and not its greatest.
    measures: Vec<(&'a Measure, bool)>,
    most: usize,
}

impl Database {
    pub(super) async fn in_a_single_pass(&self, search: &Search, wanted: &[&Aggregate]) -> Result<Vec<Aggregated>> {
        let pass = Pass::of(wanted);
        let mut query = QueryBuilder::new("");
        pass.push(&mut query, search);
        let rows = self.all(&mut query, "aggregate items").await?;
        Ok(wanted.iter().map(|one| pass.answer(one, &rows)).collect())
    }
}

impl<'a> Pass<'a> {
    fn of(wanted: &[&'a Aggregate]) -> Self {
        let mut pass = Self::default();
        for one in wanted {
            match one {
                Aggregate::Count => {}
                Aggregate::Least(measure) => pass.measure(measure, true),
                Aggregate::Greatest(measure) => pass.measure(measure, false),
                Aggregate::Groups { by, most } => {
                    pass.most = pass.most.max(*most);
                    if !pass.groupings.contains(&by) {
                        pass.groupings.push(by);
                    }
                }
            }
        }
        pass
    }

    fn measure(&mut self, measure: &'a Measure, least: bool) {
        if !self.measures.contains(&(measure, least)) {
            self.measures.push((measure, least));
        }
    }

    /// Which of the grouping sets a row is of, as PostgreSQL's `grouping` says it: a bit is set for each grouping that
    /// the row does *not* go by, and the last one has the lowest bit.
    fn set(&self, by: Option<usize>) -> i32 {
        let all = (1 << self.groupings.len()) - 1;
        by.map_or(all, |at| all ^ (1 << (self.groupings.len() - 1 - at)))
    }

    /// Writes the statement. Its rows are groups (`set`, `key`, `n`), each with how many items the set has in all
    /// (`whole`) and with the measures (`m0`, …), which count in the set of everything.
    fn push(&self, query: &mut QueryBuilder<Postgres>, search: &Search) {
        query.push("select * from (select *, (sum(n) over (partition by set))::bigint as whole,");
        query.push(" row_number() over (partition by set, key is null order by n desc, key) as rank from (select ");
        let names: Vec<String> = (0..self.groupings.len()).map(|i| format!("k{i}")).collect();
        // Groups of one kind alone can be counted by several workers at once.
        let plain = names.is_empty() || (names.len() == 1 && self.measures.is_empty());
        match &*names.join(", ") {
            _ if plain => _ = query.push("0 as set"),
            names => _ = query.push(format_args!("grouping({names}) as set")),
        }
        query.push(", coalesce(");
        for (i, grouping) in self.groupings.iter().enumerate() {
            Values::push_shown(query, grouping, i);
            query.push(", ");
        }
        query.push("null::text collate \"C\") as key, count(*) as n");
        for (i, (measure, least)) in self.measures.iter().enumerate() {
            let function = if *least { "min" } else { "max" };
            let text = if matches!(measure, Measure::Number(_)) { "::text" } else { "" };
            query.push(format_args!(", {function}(x{i}){text} as m{i}"));
        }
        self.push_found(query, search);
        match &*names.join("), (") {
            "" => {}
            _ if plain => _ = query.push(" group by k0"),
            names => {
                let whole = if self.measures.is_empty() { "" } else { "(), " };
                query.push(format_args!(" group by grouping sets ({whole}({names}))"));
            }
        }
        query.push(") counted) ranked where rank <= ").push_bind(self.most.max(1) as i64);
        query.push(" order by set, rank");
    }

    fn push_found(&self, query: &mut QueryBuilder<Postgres>, search: &Search) {
        let values = Values::of(&self.groupings, self.measures.iter().map(|(measure, _)| *measure));
        query.push(" from (select ");
        for (i, grouping) in self.groupings.iter().enumerate() {
            query.push(if i == 0 { "" } else { ", " });
            values.push_key(query, grouping);
            query.push(format_args!(" as k{i}"));
        }
        for (i, (measure, least)) in self.measures.iter().enumerate() {
            query.push(if i == 0 && self.groupings.is_empty() { "" } else { ", " });
            values.push_measure(query, measure, *least);
            query.push(format_args!(" as x{i}"));
        }
        query.push(" from items");
        values.push_joins(query);
        push_where(query, search);
        query.push(") found");
    }

    fn answer(&self, wanted: &Aggregate, rows: &[PgRow]) -> Aggregated {
        let whole = || rows.first().map_or(0, |row| row.get("whole"));
        match wanted {
            Aggregate::Count => Aggregated::Count(whole()),
            Aggregate::Least(measure) => self.measured(measure, true, rows),
            Aggregate::Greatest(measure) => self.measured(measure, false, rows),
            Aggregate::Groups { by, most } => {
                let at = self.groupings.iter().position(|grouping| *grouping == by);
                let set = self.set(at);
                let rows = rows.iter().filter(|row| row.get::<i32, _>("set") == set);
                let groups: Vec<(String, i64)> =
                    rows.filter_map(|row| Some((row.get::<Option<_>, _>("key")?, row.get("n")))).take(*most).collect();
                let counted: i64 = groups.iter().map(|(_, n)| n).sum();
                Aggregated::Groups(Groups { groups, overflow: whole() - counted })
            }
        }
    }

    fn measured(&self, measure: &Measure, least: bool, rows: &[PgRow]) -> Aggregated {
        let row = rows.iter().find(|row| row.get::<i32, _>("set") == self.set(None));
        let at = self.measures.iter().position(|known| *known == (measure, least)).unwrap_or_default();
        let column = format!("m{at}");
        match measure {
            Measure::Number(_) => {
                let text = row.and_then(|row| row.get::<Option<String>, _>(&*column));
                Aggregated::Number(text.and_then(|text| text.parse().ok()).filter(|number: &f64| number.is_finite()))
            }
            Measure::Datetime | Measure::Time(_) => Aggregated::Time(row.and_then(|row| row.get(&*column))),
        }
    }
}
