-- What searching millions of items, and describing their collections, needs.
--
-- Why collections are kept with what their items are like. Counting items, joining their boxes and listing their
-- properties at each read cost as much as reading them all. Each write leaves what it changed in collection_changes, an
-- append without a lock on the collection; whoever reads the collection next adds the changes up
-- (src/catalog/summary.rs).
--
-- An older polder that still runs writes items without leaving changes. `polder migrate`, which each newer one runs,
-- counts a collection anew whose summary is null.

-- A read copies the text; lz4 undoes three times as fast as pglz. A server built without it keeps what it had.
do $$
declare
    name text;
begin
    foreach name in array array['body', 'links', 'assets', 'properties'] loop
        execute format('alter table items alter column %I set compression lz4', name);
    end loop;
exception when feature_not_supported then
    raise notice 'this server has no lz4: items are compressed as before';
end $$;

-- Most items are of one moment. Those that last are few, and have an index of their own: a search for a time then is
-- two short ranges, where one over two columns would read everything older.
alter table items add column lasts boolean not null generated always as (starts_at < ends_at) stored;
create index items_lasting on items (ends_at) where lasts;
drop index items_ends_at;

-- PostGIS fails on shapes that cross themselves, in the middle of somebody's search.
update items set geometry = st_makevalid(geometry, 'method=structure') where not st_isvalid(geometry);

-- Pages go both ways through one index, and start behind an item by one comparison of rows: so all keys go the same way.
create index items_collection_order on items (collection, starts_at, id);
create index items_order on items (starts_at, collection, id);
drop index items_collection_page;
drop index items_page;

-- Free text: what people write about an item. Photos have no such words, and then no place in the index.
create function polder_words(properties jsonb) returns text
    language sql immutable parallel safe
    return concat_ws(' ', properties ->> 'title', properties ->> 'description', properties ->> 'keywords');
create index items_words on items using gin (to_tsvector('simple', polder_words(properties)))
    where properties ?| array['title', 'description', 'keywords'];

alter table collections
    -- what was given beside the body: JSON arrays and objects
    add column links text not null default '[]',
    add column extent text,
    -- SHA-256 of what was given
    add column digest text not null default '',
    -- the sum of all changes, as JSON; null when it must be counted
    add column summary text,
    -- the collection as it is served, but for links; once as text, once to search in
    add column served text,
    add column content jsonb,
    add column items bigint not null default 0,
    add column geometry geometry(Geometry, 4326),
    add column starts_at timestamptz,
    add column ends_at timestamptz;

create table collection_changes (
    id bigint generated always as identity,
    collection text collate "C" not null,
    -- what was added and removed, as JSON
    change text not null,
    constraint collection_changes_pkey primary key (id)
);

-- A filter (CQL2 JSON) that all reading with this token is narrowed by; null reads everything.
alter table tokens add column filter text;
