-- A running number for each account's proofs, without a hole, and which numbers stand in which batch.

create table account_numbers (
  account_id bigint not null,
  last bigint not null default 0,
  closed bigint not null default 0,
  constraint account_numbers_pkey primary key (account_id),
  constraint account_numbers_in_order check (closed between 0 and last)
) with (fillfactor = 50);
comment on table account_numbers is 'How far each account''s proofs are numbered. The row is locked by every call of accept_proofs that names the account: what is numbered commits in order.';
comment on column account_numbers.account_id is 'Whose proofs.';
comment on column account_numbers.last is 'Number of the account''s newest proof; 0 when it has none.';
comment on column account_numbers.closed is 'Number of its newest proof that is not in the open batch.';

create table batch_accounts (
  batch bigint not null,
  account_id bigint not null,
  first bigint not null,
  last bigint not null,
  constraint batch_accounts_pkey primary key (batch, account_id),
  constraint batch_accounts_batch_fkey foreign key (batch) references batches (number),
  constraint batch_accounts_in_order check (first between 1 and last)
);
create unique index batch_accounts_numbers on batch_accounts (account_id, last);
comment on table batch_accounts is 'Whose proofs a closed batch holds: the numbers of one account in one batch follow one another. Written when the batch is closed, never changed.';
comment on column batch_accounts.batch is 'The batch.';
comment on column batch_accounts.account_id is 'Whose proofs.';
comment on column batch_accounts.first is 'Number of the account''s first proof in the batch.';
comment on column batch_accounts.last is 'Number of its last one.';

alter table proofs add column number bigint, add column anchor_by timestamptz;
comment on column proofs.number is 'Counts the account''s proofs from 1 without a hole, in the order of their acceptance.';
comment on column proofs.anchor_by is 'Until when it was promised to be anchored; null for what was accepted before such promises were kept.';

-- What was accepted until now is numbered by batch and time.
update proofs p set number = n.number
  from (
    select account_id, digest, row_number() over (partition by account_id order by batch, received_at, digest) as number from proofs
  ) n
  where n.account_id = p.account_id and n.digest = p.digest;
alter table proofs alter column number set not null, add constraint proofs_number_positive check (number >= 1);
create unique index proofs_number on proofs (account_id, number);
insert into batch_accounts (batch, account_id, first, last)
  select p.batch, p.account_id, min(p.number), max(p.number)
  from proofs p join batches b on b.number = p.batch
  where b.state <> 'open'
  group by p.batch, p.account_id;
insert into account_numbers (account_id, last, closed)
  select p.account_id, max(p.number), coalesce(max(p.number) filter (where b.state is distinct from 'open'), 0)
  from proofs p left join batches b on b.number = p.batch
  group by p.account_id;

-- Accepts digests. One call, one transaction, one commit: when it returns, every row it names is durable.
--
-- The shared lock is what makes a batch complete: whoever closes a batch takes the same lock exclusively, so it waits for
-- the calls in flight, and calls that come later see the next batch. Locks are let go after the commit is visible.
-- Statements of a volatile function see the latest commits each, so the batch read after the lock is the open one.
-- A caller that lost the answer calls again with the same salts and is answered as the first time.
--
-- The numbers of an account have no hole because its row of account_numbers is locked until the commit: whoever comes
-- next counts on from what is committed, and a call that fails gives its numbers back. For the same reason what is not
-- in proofs after the lock cannot get there beside this call, and the time read after it ascends with the numbers.
-- Rows are locked in the order of accounts and inserted in key order, so that two calls cannot deadlock.
-- The joins below must use the primary key whatever the table's size was when the plan was made.
--
-- An identity is made under the same advisory lock taken exclusively, so a call either sees it and keeps the doubled
-- digests of its proofs, or has committed before whoever made the identity brings in what was accepted until then. A call
-- without proofs of such accounts pays one look into a small table.
drop function accept_proofs(bigint[], bytea[], bytea[], jsonb[]);
create function accept_proofs(
  p_accounts bigint[], p_digests bytea[], p_salts bytea[], p_details jsonb[], p_anchor_by timestamptz default null
)
returns table (
  ord bigint, salt bytea, batch bigint, received_at timestamptz, fresh boolean, number bigint, anchor_by timestamptz
)
language plpgsql volatile
set enable_hashjoin = off set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  v_accounts bigint[] := array(select distinct a.id from unnest(p_accounts) as a (id));
  v_locked bigint;
  v_batch bigint;
  v_now timestamptz;
begin
  perform pg_advisory_xact_lock_shared(x'5ceab001'::bigint);
  loop
    perform from account_numbers c where c.account_id = any (v_accounts) order by c.account_id for no key update;
    get diagnostics v_locked = row_count;
    exit when v_locked = cardinality(v_accounts);
    insert into account_numbers (account_id) select a.id from unnest(v_accounts) as a (id) order by a.id
      on conflict on constraint account_numbers_pkey do nothing;
  end loop;
  select b.number into strict v_batch from batches b where b.state = 'open';
  v_now := clock_timestamp();
  with fresh as (
    insert into proofs (account_id, digest, salt, batch, received_at, number, anchor_by)
      select n.account_id, n.digest, n.salt, v_batch, v_now, c.last + n.place, p_anchor_by
      from (
        select d.account_id, d.digest, d.salt, row_number() over (partition by d.account_id order by d.ord) as place
        from (
          select distinct on (i.account_id, i.digest) i.account_id, i.digest, i.salt, i.ord
          from unnest(p_accounts, p_digests, p_salts) with ordinality as i (account_id, digest, salt, ord)
          order by i.account_id, i.digest, i.ord
        ) d
        where not exists (select from proofs p where p.account_id = d.account_id and p.digest = d.digest)
      ) n
      join account_numbers c on c.account_id = n.account_id
      order by n.account_id, n.digest
    returning proofs.account_id
  )
  update account_numbers c set last = c.last + f.count
    from (select r.account_id, count(*) as count from fresh r group by r.account_id) f
    where c.account_id = f.account_id;
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
  if exists (select from identities d where d.account_id = any (p_accounts)) then
    insert into doubled_digests (doubled, account_id, visible, digest)
      select doubled_digest(i.digest), i.account_id, coalesce((i.detail -> 'visible')::boolean, false), i.digest
      from unnest(p_accounts, p_digests, p_salts, p_details) as i (account_id, digest, salt, detail)
      join identities d on d.account_id = i.account_id
      join proofs p on p.account_id = i.account_id and p.digest = i.digest and p.salt = i.salt
      order by 1, 2
      on conflict on constraint doubled_digests_pkey do nothing;
  end if;
  return query
    select i.ord, p.salt, p.batch, p.received_at, p.salt = i.salt, p.number, p.anchor_by
    from unnest(p_accounts, p_digests, p_salts) with ordinality as i (account_id, digest, salt, ord)
    join proofs p on p.account_id = i.account_id and p.digest = i.digest;
end
$$;
comment on function accept_proofs is 'Accepts digests into the open batch; answers one row an item with the salt, batch, time and number that count, and whether the item was new.';

-- Closes the open batch and opens the next; answers the closed number, or null when the pool is empty. The exclusive lock
-- keeps accept_proofs out, so the numbers read here are those of the closed batch, all of them committed.
create or replace function close_batch() returns bigint
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
    with grown as (
      select c.account_id, c.closed + 1 as first, c.last from account_numbers c where c.last > c.closed
    ), moved as (
      update account_numbers c set closed = g.last from grown g where c.account_id = g.account_id
    )
    insert into batch_accounts (batch, account_id, first, last)
      select v_number, g.account_id, g.first, g.last from grown g;
  end if;
  return v_number;
end
$$;

-- Stores digests that are to wait for validators. One call, one transaction: when it returns, every row is durable.
--
-- A digest that is a proof already, that waits, or that was refused (unless asked for again) is answered as it stands.
-- Two calls at once with the same digest: one waits in the insert for the other's commit, inserts nothing, and answers
-- the other's row, because statements of a volatile function see the latest commits each. Rows go in in order of digest
-- so that the two cannot deadlock. A caller that lost the answer calls again with the same ids and is answered as the
-- first time. Where a direct submission of the same digest is in flight at the same moment, both may be stored; then the
-- order of the two is nobody's to say, and the proof stands.
drop function await_validation(bigint, uuid[], bytea[], bytea[], jsonb[], boolean[]);
create function await_validation(
  p_account bigint, p_ids uuid[], p_digests bytea[], p_salts bytea[], p_details jsonb[], p_again boolean[]
)
returns table (
  ord bigint, id uuid, state text, salt bytea, approvals_needed smallint, approvals bigint, received_at timestamptz,
  batch bigint, fresh boolean, number bigint, anchor_by timestamptz
)
language plpgsql volatile
as $$
#variable_conflict use_column
declare
  v_needed smallint;
  v_inserted bigint;
begin
  select a.approvals_needed into strict v_needed from accounts a where a.id = p_account;
  insert into validations (id, account_id, digest, round, salt, details, approvals_needed, received_at, state)
    select distinct on (i.digest) i.id, p_account, i.digest,
      1 + coalesce((select max(w.round) from validations w where w.account_id = p_account and w.digest = i.digest), 0),
      i.salt, i.details, v_needed, clock_timestamp(), 'awaiting'
    from unnest(p_ids, p_digests, p_salts, p_details, p_again) as i (id, digest, salt, details, again)
    where not exists (select from proofs p where p.account_id = p_account and p.digest = i.digest)
      and not exists (
        select from validations w
        where w.account_id = p_account and w.digest = i.digest and not (w.state = 'refused' and i.again)
      )
    order by i.digest
    on conflict do nothing;
  get diagnostics v_inserted = row_count;
  if v_inserted > 0
    and (select count(*) from validators v where v.account_id = p_account and v.removed_at is null) < v_needed
  then
    raise exception 'the account has fewer validators than approvals are needed' using errcode = 'SC002';
  end if;
  return query
    select i.ord, w.id, case when p.digest is null then w.state else 'accepted' end, coalesce(p.salt, w.salt),
      w.approvals_needed,
      (select count(*) from decisions d where d.validation_id = w.id and d.decision = 'approved'),
      coalesce(p.received_at, w.received_at), p.batch, p.digest is null and w.id = i.id, p.number, p.anchor_by
    from unnest(p_ids, p_digests) with ordinality as i (id, digest, ord)
    left join proofs p on p.account_id = p_account and p.digest = i.digest
    left join lateral (
      select v.* from validations v where v.account_id = p_account and v.digest = i.digest order by v.round desc limit 1
    ) w on true;
end
$$;
comment on function await_validation is 'Stores digests that wait for validators; answers one row an item with how it stands, and whether it was new. SC002: too few validators.';
