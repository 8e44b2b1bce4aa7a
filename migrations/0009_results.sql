-- Detections that are worked on: where each was seen best, what people say of it, what changed between two flights.
--
-- Why runs have a number. A million findings each carried the 80 letters of their run's name, in the table and again in
-- the index. Why no foreign key to the run: checking it costs 6.5 CPU-s for a million rows (measured), and both are
-- written in one transaction; a run that goes takes its findings along below.
--
-- Why partitions. An index on geometry that is filled row by row costs 8 CPU-s for a million findings, one that is made
-- over finished rows less than 2. So a run with very many findings gets a table of its own, which is indexed before it is
-- attached; all others share `detections_rest`.

alter table detection_runs
    add column key integer generated always as identity,
    -- ids of the photo items that its findings name by their place in this list, counted from 0
    add column photos text[] not null default '{}',
    -- what the orthophoto covers; "gone" can only be said of what lies in it
    add column footprint geometry(Polygon, 4326),
    add constraint detection_runs_key_unique unique (key);

create table detections_of_runs (
    -- detection_runs.key
    run integer not null,
    -- counts from 0 within the run, in the run's own order
    number integer not null,
    -- the model's name for it, verbatim
    class text not null,
    confidence double precision not null,
    geometry geometry(Polygon, 4326) not null,
    -- on the ground
    area_m2 double precision,
    -- the chip on which the model saw it
    chip integer,
    -- the photos that saw it best, best first: places in detection_runs.photos, and for each x and y of its middle there,
    -- in pixels from the top-left corner of the photo as stored
    photos integer[],
    photo_pixels real[],
    -- What people say. Version counts the rows of detection_reviews about it.
    review text not null default 'open',
    version integer not null default 0,
    reviewed_by text,
    reviewed_at timestamptz,
    corrected_class text,
    corrected_geometry geometry(Polygon, 4326),
    comment text,
    constraint detections_key primary key (run, number),
    constraint detections_confidence_between check (confidence between 0 and 1),
    constraint detections_review_one_of check (review in ('open', 'accepted', 'rejected'))
) partition by list (run);

create table detections_rest partition of detections_of_runs default;
create index detections_place on detections_of_runs using gist (geometry);

insert into detections_of_runs
    (run, number, class, confidence, geometry, area_m2, review, reviewed_by, reviewed_at)
select r.key, d.number, d.class, d.confidence, d.geometry, st_area(d.geometry::geography), d.review, d.reviewed_by, d.reviewed_at
from detections d
join detection_runs r on r.id = d.run;

drop table detections;
alter table detections_of_runs rename to detections;

-- People look at the worst and at the undecided first.
create index detections_reviewed on detections (run, review) where review <> 'open';

create function forget_detections() returns trigger language plpgsql as $$
begin
    delete from detections where run = old.key;
    return old;
end
$$;

create trigger detection_runs_forget after delete on detection_runs
for each row execute function forget_detections();
