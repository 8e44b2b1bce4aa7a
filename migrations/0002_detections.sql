-- Detections: one row per finding, under the run that found it.
--
-- Why runs have a digest. A step may run twice and must then change nothing, and people's reviews hang on these rows:
-- a run of which the findings are already here, finding by finding, is left alone.

create table detection_runs (
    -- the id of the run's item in ai-results
    id text collate "C" not null,
    project text collate "C" not null,
    flight text collate "C" not null,
    -- the id of the searched item in drone-ortho
    orthophoto text collate "C" not null,
    model text collate "C" not null,
    model_version text collate "C" not null,
    -- when the photos of the orthophoto were taken
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    detections bigint not null,
    digest text not null,
    created_at timestamptz not null default now(),
    constraint detection_runs_pkey primary key (id),
    constraint detection_runs_interval_ordered check (starts_at <= ends_at)
);

create index detection_runs_orthophoto on detection_runs (orthophoto);
create index detection_runs_flight on detection_runs (project, flight);
create index detection_runs_starts_at on detection_runs (starts_at);

create table detections (
    run text collate "C" not null,
    -- counts from 0 within the run, in the run's own order
    number integer not null,
    -- the model's name for it, verbatim
    class text not null,
    confidence double precision not null,
    geometry geometry(Polygon, 4326) not null,
    review text not null default 'open',
    reviewed_by text,
    reviewed_at timestamptz,
    constraint detections_pkey primary key (run, number),
    constraint detections_run_known foreign key (run) references detection_runs (id) on delete cascade,
    constraint detections_confidence_range check (confidence between 0 and 1),
    constraint detections_review_known check (review in ('open', 'accepted', 'rejected'))
);

create index detections_geometry on detections using gist (geometry);
create index detections_class on detections (class, confidence desc);
