-- The audit trail: who changed what.
--
-- Why a row is opened before the work. A process that dies closes nothing, so its row stays `running`: that is how a
-- half-done step is found.

create table audit (
    id bigint generated always as identity,
    opened_at timestamptz not null default now(),
    closed_at timestamptz,
    who text not null,
    what text not null,
    bucket text,
    key text,
    version_id text,
    records_in bigint,
    records_ok bigint,
    records_rejected bigint,
    state text not null default 'running',
    -- for people: which flight, why it failed
    detail text,
    constraint audit_pkey primary key (id),
    constraint audit_state_known check (state in ('running', 'done', 'failed')),
    constraint audit_closed_when_over check ((state = 'running') = (closed_at is null))
);

create index audit_opened_at on audit (opened_at desc);
create index audit_object on audit (bucket, key) where key is not null;
create index audit_running on audit (opened_at) where state = 'running';
