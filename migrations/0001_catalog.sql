-- The catalog: collections and items.
--
-- Why an item is kept twice. Readers get its exact text, so that is stored as text, split into three parts in which
-- the API's address and the form of hrefs are marked (src/catalog/stored_item.rs); jsonb would reorder its members
-- and round its numbers. Searches need columns, so the properties stand beside it as jsonb.
--
-- Names sort by their bytes ("C"), so that pages have one order whatever the locale of the server is.

create extension if not exists postgis;

create table collections (
    id text collate "C" not null,
    -- the collection as JSON, without links and extent: both are made when it is read
    body text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint collections_pkey primary key (id)
);

create table items (
    collection text collate "C" not null,
    id text collate "C" not null,
    -- null: the item has no place, and no search by place finds it
    geometry geometry(Geometry, 4326),
    -- the datetime twice, or start_datetime and end_datetime
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    properties jsonb not null,
    body text not null,
    links text not null,
    assets text not null,
    -- SHA-256 of the three texts: writing the same item again changes nothing
    digest text not null,
    project text collate "C" generated always as (properties ->> 'polder:project') stored,
    flight text collate "C" generated always as (properties ->> 'polder:flight') stored,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint items_pkey primary key (collection, id),
    constraint items_collection_known foreign key (collection) references collections (id),
    constraint items_interval_ordered check (starts_at <= ends_at)
);

-- pages of one collection, and of all: newest first, names break ties
create index items_collection_page on items (collection, starts_at desc, id);
create index items_page on items (starts_at desc, collection, id);
create index items_geometry on items using gist (geometry);
create index items_ends_at on items (ends_at);
create index items_id on items (id);
create index items_flight on items (project, flight, collection) where project is not null;
