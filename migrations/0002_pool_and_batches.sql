-- The pool, the batches it is sealed into, and their trees.

create table batches (
  number bigint not null,
  state text not null,
  opened_at timestamptz not null,
  closed_at timestamptz,
  sealed_at timestamptz,
  header text,
  size bigint,
  root bytea,
  constraint batches_pkey primary key (number),
  constraint batches_number_positive check (number >= 1),
  constraint batches_root_key unique (root),
  constraint batches_state_known check (state in ('open', 'closed', 'sealed')),
  constraint batches_state_whole check (
    (state = 'open' and closed_at is null and sealed_at is null and header is null and size is null and root is null)
    or (state = 'closed' and closed_at is not null and sealed_at is null and header is null and size is null and root is null)
    or (state = 'sealed' and closed_at is not null and sealed_at is not null and octet_length(header) > 48 and size >= 2
        and octet_length(root) = 32)
  )
);
create unique index batches_one_open on batches ((true)) where state = 'open';
create index batches_to_seal on batches (number) where state = 'closed';
comment on table batches is 'Numbered sets of proofs sealed together. Exactly one is open at any time; numbers have no hole.';
comment on column batches.state is 'open: takes new proofs. closed: complete, its tree not stored yet. sealed: root and tiles are stored and never change.';
comment on column batches.header is 'Leaf 0 of the tree: the exact bytes of the batch header (verifier/SPEC.md).';
comment on column batches.size is 'Leaves of the tree, header included: proofs + 1.';
comment on column batches.root is 'Root of the tree, 32 bytes.';

insert into batches (number, state, opened_at) values (1, 'open', now());

create table proofs (
  account_id bigint not null,
  batch bigint not null,
  received_at timestamptz not null,
  digest bytea not null,
  salt bytea not null,
  constraint proofs_pkey primary key (account_id, digest),
  constraint proofs_digest_length check (octet_length(digest) = 32),
  constraint proofs_salt_length check (octet_length(salt) = 16)
);
create index proofs_batch on proofs (batch);
comment on table proofs is 'Accepted digests. Inserted once by accept_proofs and never rewritten. No foreign keys: both parents are named by '
  'accept_proofs itself, are never deleted, and a key check per row would double the cost of an insert.';
comment on column proofs.batch is 'The batch that was open when the row was inserted: the one it is sealed in.';
comment on column proofs.received_at is 'Database time of acceptance; a statement of the operator, not proven by the chain.';
comment on column proofs.digest is 'SHA-256 of the document, as submitted.';
comment on column proofs.salt is '16 random bytes drawn at acceptance; entry = digest || salt. Hides the digest from neighbours in the tree.';

create table proof_details (
  account_id bigint not null,
  digest bytea not null,
  file_name text,
  reference text,
  labels text[],
  metadata jsonb,
  constraint proof_details_pkey primary key (account_id, digest),
  constraint proof_details_proof_fkey foreign key (account_id, digest) references proofs (account_id, digest)
);
comment on table proof_details is 'What the submitter said about the document. Part of no entry, so it can be erased without touching a tree.';
comment on column proof_details.file_name is 'Name of the document on the submitter''s side.';
comment on column proof_details.reference is 'The submitter''s own reference.';
comment on column proof_details.labels is 'Labels for finding proofs again.';
comment on column proof_details.metadata is 'Any JSON object of bounded size.';

create table tiles (
  batch bigint not null,
  level smallint not null,
  index integer not null,
  lowest bytea,
  hashes bytea not null,
  constraint tiles_pkey primary key (batch, level, index),
  constraint tiles_batch_fkey foreign key (batch) references batches (number),
  constraint tiles_width check (octet_length(hashes) between 32 and 8192 and octet_length(hashes) % 32 = 0),
  constraint tiles_lowest_at_leaves check ((level = 0) = (lowest is not null))
);
-- Hashes do not compress: store them out of line as they are.
alter table tiles alter column hashes set storage external;
create unique index tiles_by_leaf on tiles (batch, lowest) where level = 0;
comment on table tiles is 'The trees of sealed batches, 256 hashes a row. Level L holds the nodes of layer 8 L, so a path needs one row a level.';
comment on column tiles.index is 'Position of the tile in its level; it starts at node 256 * index.';
comment on column tiles.lowest is 'Level 0 only: the tile''s first leaf hash, by which a leaf is found (leaves ascend). Tile 0 starts with the header, which is not in order, and has 32 zero bytes.';

-- Accepts digests. One call, one transaction, one commit: when it returns, every row it names is durable.
--
-- The shared lock is what makes a batch complete: whoever closes a batch takes the same lock exclusively, so it waits for
-- the calls in flight, and calls that come later see the next batch. Locks are let go after the commit is visible.
-- Statements of a volatile function see the latest commits each, so the batch read after the lock is the open one.
-- A caller that lost the answer calls again with the same salts and is answered as the first time.
-- Rows go in in key order so that two calls with the same digests cannot deadlock.
-- The joins below must use the primary key whatever the table's size was when the plan was made.
create function accept_proofs(p_accounts bigint[], p_digests bytea[], p_salts bytea[], p_details jsonb[])
returns table (ord bigint, salt bytea, batch bigint, received_at timestamptz, fresh boolean)
language plpgsql volatile
set enable_hashjoin = off set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  v_batch bigint;
  v_now timestamptz;
  v_inserted bigint;
begin
  perform pg_advisory_xact_lock_shared(x'5ceab001'::bigint);
  select b.number into strict v_batch from batches b where b.state = 'open';
  v_now := clock_timestamp();
  insert into proofs (account_id, digest, salt, batch, received_at)
    select i.account_id, i.digest, i.salt, v_batch, v_now
    from unnest(p_accounts, p_digests, p_salts) as i (account_id, digest, salt)
    order by i.account_id, i.digest
    on conflict on constraint proofs_pkey do nothing;
  get diagnostics v_inserted = row_count;
  if p_details is not null then
    insert into proof_details (account_id, digest, file_name, reference, labels, metadata)
      select i.account_id, i.digest, i.detail ->> 'file_name', i.detail ->> 'reference',
        case when i.detail ? 'labels' then array(select jsonb_array_elements_text(i.detail -> 'labels')) end,
        i.detail -> 'metadata'
      from unnest(p_accounts, p_digests, p_salts, p_details) as i (account_id, digest, salt, detail)
      join proofs p on p.account_id = i.account_id and p.digest = i.digest and p.salt = i.salt
      where i.detail is not null
      on conflict on constraint proof_details_pkey do nothing;
  end if;
  if v_inserted = cardinality(p_accounts) then
    return query
      select i.ord, i.salt, v_batch, v_now, true
      from unnest(p_salts) with ordinality as i (salt, ord);
  else
    return query
      select i.ord, p.salt, p.batch, p.received_at, p.salt = i.salt
      from unnest(p_accounts, p_digests, p_salts) with ordinality as i (account_id, digest, salt, ord)
      join proofs p on p.account_id = i.account_id and p.digest = i.digest;
  end if;
end
$$;
comment on function accept_proofs is 'Accepts digests into the open batch; answers one row an item with the salt, batch and time that count, and whether the item was new.';

-- Closes the open batch and opens the next; answers the closed number, or null when the pool is empty.
create function close_batch() returns bigint
language plpgsql volatile
as $$
declare
  v_number bigint;
begin
  perform pg_advisory_xact_lock(x'5ceab001'::bigint);
  update batches set state = 'closed', closed_at = clock_timestamp()
    where state = 'open' and exists (select from proofs where proofs.batch = batches.number)
    returning number into v_number;
  if v_number is not null then
    insert into batches (number, state, opened_at) values (v_number + 1, 'open', clock_timestamp());
  end if;
  return v_number;
end
$$;
comment on function close_batch is 'Waits for accept_proofs calls in flight, then closes the open batch unless it is empty.';
