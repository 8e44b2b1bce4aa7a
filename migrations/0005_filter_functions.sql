-- The functions that filters (CQL2) are made of.
--
-- Why functions. A property lies in jsonb and may be of any type, whatever a filter expects. These look at the type
-- first, so that no row makes a statement fail. Those that are one expression are inlined by PostgreSQL: they cost
-- nothing themselves, and an index on polder_key(properties, 'name') serves any filter on that name. Their bodies are
-- parsed here and now ("return"), so that a restored dump needs no search path to make such an index.

-- A member, or, when there is none, what its dotted name leads to: a.b is "a.b" or else b in a.
create function polder_property(document jsonb, name text) returns jsonb
    immutable parallel safe
    return coalesce(document -> name, document #> string_to_array(name, '.'));

-- What to sort and search a property by: a number, a boolean, or the first 200 characters of a string. The limits keep
-- a key within the third of a page that a btree takes; no double is written with more than 400 characters.
create function polder_key(document jsonb, name text) returns jsonb
    immutable parallel safe
    return case jsonb_typeof(polder_property(document, name))
        when 'number' then
            case when length(polder_property(document, name) #>> '{}') <= 400 then polder_property(document, name) end
        when 'boolean' then polder_property(document, name)
        when 'string' then
            case
                when length(polder_property(document, name) #>> '{}') <= 200 then polder_property(document, name)
                else jsonb_object(array['', left(polder_property(document, name) #>> '{}', 200)]) -> ''
            end
    end;

create function polder_text(value jsonb) returns text
    immutable parallel safe
    return case jsonb_typeof(value) when 'string' then value #>> '{}' end;

create function polder_boolean(value jsonb) returns boolean
    immutable parallel safe
    return case jsonb_typeof(value) when 'boolean' then value::boolean end;

-- Numeric, not double: it is what jsonb holds, whole numbers stay whole, and nothing overflows.
create function polder_number(value jsonb) returns numeric
    immutable parallel safe
    return case jsonb_typeof(value) when 'number' then case when length(value #>> '{}') <= 400 then value::numeric end end;

-- An array as it is, a single value as an array of one.
create function polder_array(value jsonb) returns jsonb
    immutable parallel safe
    return case jsonb_typeof(value) when 'array' then value when 'null' then null else '[]'::jsonb || value end;

-- Every element of b is in a. (@> asks less of nested arrays.)
create function polder_contains(a jsonb, b jsonb) returns boolean
    immutable strict parallel safe
    return not exists (
        select from jsonb_array_elements(b) as wanted (value)
        where wanted.value not in (select had.value from jsonb_array_elements(a) as had (value))
    );

create function polder_overlaps(a jsonb, b jsonb) returns boolean
    immutable strict parallel safe
    return exists (
        select from jsonb_array_elements(a) as x (value)
        join jsonb_array_elements(b) as y (value) on x.value = y.value
    );

create function polder_equals(a jsonb, b jsonb) returns boolean
    immutable strict parallel safe
    return polder_contains(a, b) and polder_contains(b, a);

-- The power, or null when it is no real number or leaves the range of a double.
create function polder_power(base numeric, exponent numeric) returns numeric
    immutable strict parallel safe
    return case
        when exponent = 0 then 1
        when base = 0 then case when exponent > 0 then 0 end
        when base < 0 and exponent <> trunc(exponent) then null
        when abs(base) not between 1e-300 and 1e300 or abs(exponent) > 1e9 then null
        when abs(exponent::double precision * ln(abs(base)::double precision)) > 690 then null
        else power(base, exponent)
    end;

-- A timestamp with its zone (RFC 3339), or the first moment of a date. It does not depend on any setting of the
-- session, for the zone is always said: so the cast, which PostgreSQL calls stable, is immutable here.
create function polder_time(value text) returns timestamptz
    language plpgsql immutable strict parallel safe
    as $$
begin
    if value !~ '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])([Tt]([01][0-9]|2[0-3]):[0-5][0-9]:(60|[0-5][0-9](\.[0-9]{1,12})?)([Zz]|[+-](0[0-9]|1[0-4]):[0-5][0-9]))?$'
        or left(value, 4) = '0000'
        -- the days that a month may lack
        or substr(value, 9, 2) > '28' and substr(value, 9, 2)::integer > extract(day from
            make_date(left(value, 4)::integer, substr(value, 6, 2)::integer, 1) + interval '1 month - 1 day')
    then
        return null;
    end if;
    return case length(value) when 10 then value || 'T00:00:00Z' else upper(value) end::timestamptz;
end;
$$;

-- Compares two values of unknown type: -1, 0 or 1, or null when they are of different types. Strings that are both
-- times compare as times, others by their bytes.
create function polder_compare(a jsonb, b jsonb) returns integer
    language plpgsql immutable strict parallel safe
    as $$
declare
    kind constant text := jsonb_typeof(a);
    x text collate "C";
    y text collate "C";
    s timestamptz;
    t timestamptz;
begin
    if kind not in ('number', 'boolean', 'string') or kind <> jsonb_typeof(b) then
        return null;
    elsif kind <> 'string' then
        return case when a < b then -1 when a > b then 1 else 0 end;
    end if;
    x := a #>> '{}';
    y := b #>> '{}';
    s := polder_time(x);
    t := polder_time(y);
    if s is not null and t is not null then
        return case when s < t then -1 when s > t then 1 else 0 end;
    end if;
    return case when x < y then -1 when x > y then 1 else 0 end;
end;
$$;

-- Folds case as Unicode does: Straße and STRASSE are one.
create function polder_casei(value text) returns text
    immutable parallel safe
    return lower(upper(value collate "und-x-icu") collate "und-x-icu");

-- Drops marks over and under letters, and strokes through them.
create function polder_accenti(value text) returns text
    immutable parallel safe
    return translate(
        regexp_replace(normalize(value, NFD), '[\u0300-\u036f]+', '', 'g'),
        'ØøŁłĐđĦħŦŧƗɨƵƶ', 'OoLlDdHhTtIiZz'
    );

-- A geometry that GEOS can relate to any other: valid, and a collection with its parts merged. The method is the one
-- that takes what two parts share as theirs, not as a hole.
create function polder_shape(value geometry) returns geometry
    immutable parallel safe
    return case
        when geometrytype(value) = 'GEOMETRYCOLLECTION'
            then st_unaryunion(st_makevalid(value, 'method=structure keepcollapsed=true'))
        when st_isvalidreason(value) = 'Valid Geometry' then value
        else st_makevalid(value, 'method=structure keepcollapsed=true')
    end;
