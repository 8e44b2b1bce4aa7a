-- API keys.
--
-- Why only a hash. Who reads this table, or a backup of it, can act as nobody. The keys are 32 random bytes, so a fast
-- hash (SHA-256) is enough: there is no short secret to guess.

create table tokens (
    id bigint generated always as identity,
    name text not null,
    role text not null,
    hash bytea not null,
    created_at timestamptz not null default now(),
    revoked_at timestamptz,
    constraint tokens_pkey primary key (id),
    constraint tokens_hash_unique unique (hash),
    constraint tokens_role_known check (role in ('viewer', 'uploader', 'pipeline', 'admin'))
);
