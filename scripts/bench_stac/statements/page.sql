-- The first hundred items of a collection, newest first, and one more that tells whether there is a next page
-- (src/database/search, as the route of a collection's items asks it).
\set limit 101
select collection, id, starts_at, body, links, assets, digest
from items
where collection = 'dike-zeeland'
order by starts_at desc, collection desc, id desc
limit :limit;
