-- What people say about detections, as a history: each change is a row, the detection itself has the outcome.
--
-- Why a row is never removed. Data sets are made of reviews, and somebody will ask who said so. When another result takes
-- the place of a run's findings, what was said of the old ones stays, marked as superseded; what matches goes on under
-- `carry`, with the name of who said it first.

create table detection_reviews (
    id bigint generated always as identity,
    run integer not null,
    number integer not null,
    -- counts from 1 for each detection
    version integer not null,
    said_at timestamptz not null default now(),
    who text not null,
    action text not null,
    -- what it was corrected to
    class text,
    geometry geometry(Polygon, 4326),
    comment text,
    -- of which detection the review was carried over
    from_run text,
    from_number integer,
    superseded_at timestamptz,
    constraint detection_reviews_pkey primary key (id),
    constraint detection_reviews_run_known foreign key (run) references detection_runs (key) on delete cascade,
    constraint detection_reviews_action_known
        check (action in ('accept', 'reject', 'correct', 'comment', 'reopen', 'carry'))
);

create unique index detection_reviews_version on detection_reviews (run, number, version) where superseded_at is null;

-- What is there and no model saw. Without these, recall cannot be known.
create table missed_findings (
    id bigint generated always as identity,
    run integer not null,
    class text not null,
    geometry geometry(Polygon, 4326) not null,
    said_at timestamptz not null default now(),
    who text not null,
    comment text,
    constraint missed_findings_pkey primary key (id),
    constraint missed_findings_run_known foreign key (run) references detection_runs (key) on delete cascade,
    constraint missed_findings_once unique (run, class, geometry)
);

-- Somebody who judges detections and changes nothing else.
alter table tokens drop constraint tokens_role_known;
alter table tokens add constraint tokens_role_known
    check (role in ('viewer', 'reviewer', 'uploader', 'pipeline', 'admin'));
