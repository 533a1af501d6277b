-- What each chain called final, so that a chain that takes it back is noticed.

create table finality (
  target_id integer not null,
  number bigint not null,
  hash bytea not null,
  checked_at timestamptz not null default clock_timestamp(),
  constraint finality_pkey primary key (target_id),
  constraint finality_target_fkey foreign key (target_id) references targets (id),
  constraint finality_number_natural check (number >= 0),
  constraint finality_hash_length check (octet_length(hash) = 32)
);
comment on table finality is 'The newest final block seen on each target''s chain. An endpoint that does not have it is behind or on another fork; a chain that calls another block final at this height broke its word.';
comment on column finality.number is 'Height of that block; never lowered.';
comment on column finality.hash is 'Its hash.';
comment on column finality.checked_at is 'When the newest final anchors were last looked at again.';
