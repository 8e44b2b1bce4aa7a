-- An item by its id, drawn anew each time (src/database/items/mod.rs, find_item).
-- `flights` is given: how many flights were loaded. Each fifth is of this collection.
\set flight random(0, :flights / 5 - 1) * 5 + 1
\set number 1000000 + :flight * 100 + random(0, 99)
select collection, id, starts_at, body, links, assets, digest
from items
where collection = 'dike-zeeland' and id = 'dike-zeeland-' || :number;
