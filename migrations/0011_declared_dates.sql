-- What a former system said about documents that were moved in.

create table declared_dates (
  account_id bigint not null,
  digest bytea not null,
  declared_at timestamptz not null,
  imported_at timestamptz not null default clock_timestamp(),
  constraint declared_dates_pkey primary key (account_id, digest),
  constraint declared_dates_proof_fkey foreign key (account_id, digest) references proofs (account_id, digest)
);
comment on table declared_dates is 'Dates that a former system gave to digests, as declared when they were moved in. Proven by nothing, part of no tree; the proof itself is as old as its acceptance here.';
comment on column declared_dates.account_id is 'Whose proof it is.';
comment on column declared_dates.digest is 'Its digest.';
comment on column declared_dates.declared_at is 'When the former system says it registered the document.';
comment on column declared_dates.imported_at is 'When that was told here.';
