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
