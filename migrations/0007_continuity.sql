-- A restored database: how it is recognised, and what is known of batches whose contents were lost with the newer one.

alter table batches drop constraint batches_state_known, drop constraint batches_state_whole;
alter table batches
  add constraint batches_state_known check (state in ('open', 'closed', 'sealed', 'lost')),
  add constraint batches_state_whole check (
    (state = 'open' and closed_at is null and sealed_at is null and header is null and size is null and root is null)
    or (state = 'closed' and closed_at is not null and sealed_at is null and header is null and size is null and root is null)
    or (state = 'sealed' and closed_at is not null and sealed_at is not null and octet_length(header) > 48 and size >= 2
        and octet_length(root) = 32)
    or (state = 'lost' and closed_at is null and sealed_at is null and header is null and size >= 2 and octet_length(root) = 32)
  );
comment on column batches.state is 'open: takes new proofs. closed: complete, its tree not stored yet. sealed: root and tiles are stored and never change. '
  'lost: a registry has it, but its proofs and tree went with a newer database than this one; receipts of it stay valid.';

create table continuity (
  target_id integer not null,
  system_identifier bigint not null,
  timeline bigint not null,
  database_oid bigint not null,
  why text,
  compared_at timestamptz not null default clock_timestamp(),
  constraint continuity_pkey primary key (target_id),
  constraint continuity_target_fkey foreign key (target_id) references targets (id)
);
comment on table continuity is 'Whether this database goes on where the target''s registry is. One restored from a backup may not; nothing is accepted or sealed until it does.';
comment on column continuity.target_id is 'The registry it was compared with.';
comment on column continuity.system_identifier is 'The Postgres cluster (pg_control_system) in which it was compared. Another one means: restored or moved since.';
comment on column continuity.timeline is 'The cluster''s timeline then. It changes with a recovery to a point in time and when a standby is promoted.';
comment on column continuity.database_oid is 'The database then.';
comment on column continuity.why is 'What the chain has that this database has not; null when it goes on.';
comment on column continuity.compared_at is 'When.';
insert into continuity (target_id, system_identifier, timeline, database_oid)
  select t.id, (pg_control_system()).system_identifier, (pg_control_checkpoint()).timeline_id,
    (select oid::bigint from pg_database where datname = current_database())
  from targets t;
