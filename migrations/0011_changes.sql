-- What changed at a place between two flights: two detection runs held against each other.
--
-- Why it is kept. An inspector sends a crew on the word of it, and must be able to say later what it was based on: which
-- two results, and by how much one orthophoto was shifted onto the other.

create table comparisons (
    before integer not null,
    after integer not null,
    -- of both results, their reviews and the options: the same ones are not compared again
    digest text not null,
    -- what is added to places of the earlier orthophoto to get those of the later one, metres on the ground
    shift_east_m double precision not null,
    shift_north_m double precision not null,
    -- pairs that agree about it, and how well; none when there were too few and it was left at nothing
    shift_pairs integer not null,
    residual_m double precision,
    -- findings that lie where the other orthophoto shows nothing: of them nothing is said
    outside_before integer not null,
    outside_after integer not null,
    who text not null,
    compared_at timestamptz not null default now(),
    constraint comparisons_pkey primary key (before, after),
    constraint comparisons_before_known foreign key (before) references detection_runs (key) on delete cascade,
    constraint comparisons_after_known foreign key (after) references detection_runs (key) on delete cascade
);

create table changes (
    before integer not null,
    after integer not null,
    number integer not null,
    kind text not null,
    class text not null,
    -- numbers of the findings in their runs
    before_number integer,
    after_number integer,
    -- between their middles, after the shift
    distance_m double precision,
    iou double precision,
    geometry geometry(Polygon, 4326) not null,
    constraint changes_pkey primary key (before, after, number),
    constraint changes_compared foreign key (before, after) references comparisons (before, after) on delete cascade,
    constraint changes_kind_known check (kind in ('new', 'gone', 'persisting', 'moved'))
);

create index changes_place on changes using gist (geometry);
