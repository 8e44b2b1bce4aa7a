-- What searches look at lies in the row, uncompressed: a filter reads the properties of each item that an index gives it,
-- several times over, and unpacking them took longer than all else. What only answers need goes out of line first.
--
-- Rows that are there stay as they are until they are written again.
alter table items alter column properties set storage main;

-- Gives the same as before, so the indexes on it stay true. Written as one expression it was put into every statement,
-- with the property fetched in seven places, and planning that took longer than calling this does.
create or replace function polder_key(document jsonb, name text) returns jsonb
    language plpgsql immutable strict parallel safe cost 10
as $$
declare
    value jsonb := coalesce(document -> name, document #> string_to_array(name, '.'));
begin
    return case jsonb_typeof(value)
        when 'number' then case when length(value #>> '{}') <= 400 then value end
        when 'boolean' then value
        when 'string' then
            case
                when length(value #>> '{}') <= 200 then value
                else jsonb_object(array['', left(value #>> '{}', 200)]) -> ''
            end
    end;
end $$;
