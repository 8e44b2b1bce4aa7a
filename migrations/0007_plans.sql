-- What lets PostgreSQL plan searches well.
--
-- Indexes on properties are of all items now (src/database/upkeep.rs). Those that there are know a part of them, and have
-- statistics beside them that every plan pays for. Searches that ask for them get new ones.
do $$
declare
    name text;
begin
    for name in select stxname from pg_statistic_ext where stxrelid = 'items'::regclass and starts_with(stxname, 'items_by_') loop
        execute format('drop statistics %I', name);
    end loop;
    for name in select indexname from pg_indexes where tablename = 'items' and starts_with(indexname, 'items_by_') loop
        execute format('drop index %I', name);
    end loop;
end $$;

-- How two shapes lie to each other. PostGIS' own functions tell PostgreSQL a cost of 25 pages for each row, and it would
-- rather read an index of all items through than ask a thousand of them; what they cost is some microseconds. Both shapes
-- must be valid; the parts of a collection may overlap.
create function polder_relate(relation text, a geometry, b geometry) returns boolean
    language plpgsql immutable strict parallel safe cost 100
as $$
begin
    if geometrytype(a) = 'GEOMETRYCOLLECTION' then
        a := polder_shape(a);
    end if;
    if geometrytype(b) = 'GEOMETRYCOLLECTION' then
        b := polder_shape(b);
    end if;
    return case relation
        when 'intersects' then st_intersects(a, b)
        when 'contains' then st_contains(a, b)
        when 'crosses' then st_crosses(a, b)
        when 'disjoint' then st_disjoint(a, b)
        when 'equals' then st_equals(a, b)
        when 'overlaps' then st_overlaps(a, b)
        when 'touches' then st_touches(a, b)
        when 'within' then st_within(a, b)
    end;
end $$;
