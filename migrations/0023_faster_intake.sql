-- Accepting digests with less work: each is looked up once, plans do not depend on what the tables held when they were made, and
-- what is counted is counted by one trigger, however rows come in; so what was never seen before need not be looked up at all.

-- Counts new proofs: in the account's numbers, in the promises of the batch, and in the account's day.
--
-- Numbers must go on from the account's last one without a hole, or nothing is stored: (account_id, number) is unique, so the
-- lowest, the highest and how many there are say it. Whoever inserts holds the row of account_numbers (begin_acceptance).
create function count_proofs() returns trigger
language plpgsql volatile
set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
declare
  v_groups bigint;
  v_counted bigint;
  v_account bigint;
begin
  with new as (
    select f.account_id, count(*) as digests, min(f.number) as first, max(f.number) as last from fresh f group by f.account_id
  ), counted as (
    update account_numbers c set last = n.last
      from new n
      where c.account_id = n.account_id and c.last + 1 = n.first and c.last + n.digests = n.last
    returning c.account_id
  )
  select (select count(*) from new), (select count(*) from counted) into v_groups, v_counted;
  if v_counted <> v_groups then
    raise exception 'the numbers of new proofs do not follow those of their account';
  end if;
  -- Once a scheduled seal, not once a call: other calls wait for this row until the commit.
  update batches b
    set anchor_by_first = least(b.anchor_by_first, n.first), anchor_by_last = greatest(b.anchor_by_last, n.last)
    from (
      select f.batch, min(f.anchor_by) as first, max(f.anchor_by) as last from fresh f where f.anchor_by is not null group by f.batch
    ) n
    where b.number = n.batch and (b.anchor_by_first is null or n.first < b.anchor_by_first or n.last > b.anchor_by_last);
  if current_setting('sceau.quota', true) = 'off' then
    return null;
  end if;
  with counted as (
    insert into daily_usage as u (account_id, day, digests)
      select f.account_id, f.day, f.digests
      from (
        select account_id, (max(received_at) at time zone 'UTC')::date as day, count(*) as digests from fresh group by account_id
      ) f
      join accounts a on a.id = f.account_id
      cross join default_limits d
      where coalesce(a.digests_per_day, d.digests_per_day) < 9223372036854775807
      order by f.account_id
      on conflict on constraint daily_usage_pkey do update set digests = u.digests + excluded.digests
      returning u.account_id, u.digests
  )
  select c.account_id into v_account
    from counted c join accounts a on a.id = c.account_id cross join default_limits d
    where c.digests > coalesce(a.digests_per_day, d.digests_per_day)
    limit 1;
  if v_account is not null then
    raise exception 'no digests left for today' using errcode = 'SQ001', detail = v_account::text;
  end if;
  return null;
end
$$;
comment on function count_proofs is 'Counts new proofs of an account and of a batch; refuses numbers with a hole, and with SQLSTATE SQ001, and the account as its detail, what goes beyond an account''s daily limit.';
drop trigger proofs_counted on proofs;
create trigger proofs_counted after insert on proofs referencing new table as fresh
  for each statement execute function count_proofs();
drop function count_digests();

-- The first step of accepting digests: answers, for each account, which batch, time and promise they get, and the number of the
-- account's newest proof.
--
-- The shared lock is what makes a batch complete: whoever closes a batch takes the same lock exclusively, so it waits for
-- the calls in flight, and calls that come later see the next batch. Locks are let go after the commit is visible.
-- Statements of a volatile function see the latest commits each, so the batch read after the lock is the open one.
--
-- The numbers of an account have no hole because its row of account_numbers is locked until the commit: whoever comes
-- next counts on from what is committed, and a call that fails gives its numbers back. For the same reason what is not
-- in proofs after the lock cannot get there beside this transaction, and the time read after it ascends with the numbers.
-- Rows are locked in the order of accounts, so that two calls cannot deadlock.
--
-- An identity is made under the same advisory lock taken exclusively, so a call either sees it and keeps the doubled
-- digests of its proofs, or has committed before whoever made the identity brings in what was accepted until then.
create function begin_acceptance(p_accounts bigint[], p_since timestamptz[], p_anchor_by timestamptz[])
returns table (batch bigint, received_at timestamptz, anchor_by timestamptz, account_id bigint, last bigint)
language plpgsql volatile
set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  v_locked bigint;
  v_batch bigint;
  v_now timestamptz;
  v_anchor_by timestamptz;
begin
  perform pg_advisory_xact_lock_shared(x'5ceab001'::bigint);
  loop
    perform from account_numbers c where c.account_id = any (p_accounts) order by c.account_id for no key update;
    get diagnostics v_locked = row_count;
    exit when v_locked = cardinality(p_accounts);
    insert into account_numbers (account_id) select a.id from unnest(p_accounts) as a (id) order by a.id
      on conflict on constraint account_numbers_pkey do nothing;
  end loop;
  select b.number into strict v_batch from batches b where b.state = 'open';
  v_now := clock_timestamp();
  if p_since is not null then
    v_anchor_by := (
      select t.anchor_by from unnest(p_since, p_anchor_by) as t (since, anchor_by) where t.since <= v_now order by t.since desc limit 1
    );
    if v_anchor_by is null then
      raise exception 'there are no terms for what is received now'
        using errcode = 'SC003', detail = (extract(epoch from v_now) * 1000000)::bigint::text;
    end if;
  end if;
  return query
    select v_batch, v_now, v_anchor_by, c.account_id, c.last from account_numbers c where c.account_id = any (p_accounts);
end
$$;
comment on function begin_acceptance is 'Locks the numbers of distinct accounts and answers batch, time and promise for what they are given now. The transaction must end soon.';

-- Whether one of a few digests is a proof already. A plain join may be planned from the table's side while that is small, and the
-- plan is kept: "lateral … limit 1" can only be looked up, one by one.
create function knows_any(p_accounts bigint[], p_digests bytea[]) returns boolean
language plpgsql stable
set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan
as $$
begin
  return exists (
    select from unnest(p_accounts, p_digests) as i (account_id, digest)
    cross join lateral (select from proofs q where q.account_id = i.account_id and q.digest = i.digest limit 1) p
  );
end
$$;
comment on function knows_any is 'Whether one of a few digests is a proof of its account already.';

-- What belongs to proofs that this transaction has stored, items as accept_proofs takes them: details, and the doubled digests of
-- accounts with an identity in the KageSecur dialect. An account without one pays one look into a small table.
create function describe_proofs(p_accounts bigint[], p_digests bytea[], p_salts bytea[], p_details jsonb[]) returns void
language plpgsql volatile
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off
set plan_cache_mode = force_generic_plan
as $$
begin
  if p_details is not null then
    insert into proof_details (account_id, digest, file_name, reference, labels, metadata)
      select i.account_id, i.digest, i.detail ->> 'file_name', i.detail ->> 'reference',
        case when i.detail ? 'labels' then array(select jsonb_array_elements_text(i.detail -> 'labels')) end,
        i.detail -> 'metadata'
      from unnest(p_accounts, p_digests, p_salts, p_details) as i (account_id, digest, salt, detail)
      join lateral (
        select q.salt from proofs q where q.account_id = i.account_id and q.digest = i.digest limit 1
      ) p on p.salt = i.salt
      where i.detail is not null
      on conflict on constraint proof_details_pkey do nothing;
  end if;
  if exists (select from identities d where d.account_id = any (p_accounts)) then
    insert into doubled_digests (doubled, account_id, visible, digest)
      select doubled_digest(i.digest), i.account_id, coalesce((i.detail -> 'visible')::boolean, false), i.digest
      from unnest(p_accounts, p_digests, p_salts, p_details) as i (account_id, digest, salt, detail)
      join identities d on d.account_id = i.account_id
      join lateral (
        select q.salt from proofs q where q.account_id = i.account_id and q.digest = i.digest limit 1
      ) p on p.salt = i.salt
      order by 1, 2
      on conflict on constraint doubled_digests_pkey do nothing;
  end if;
end
$$;
comment on function describe_proofs is 'Stores details and doubled digests of proofs that are in the table with the given salts.';

-- Accepts digests of which none was seen before, each once, in key order, with its place among those of its account here, from 1.
-- Answers what begin_acceptance does; what each item gets follows from that. Nothing at all is answered, and nothing stored, when one
-- of the sampled digests is a proof already; where another one is, the primary key refuses all of it.
create function accept_new(
  p_accounts bigint[], p_digests bytea[], p_salts bytea[], p_places bigint[], p_details jsonb[], p_since timestamptz[],
  p_anchor_by timestamptz[], p_sampled_accounts bigint[], p_sampled bytea[]
)
returns table (batch bigint, received_at timestamptz, anchor_by timestamptz, account_id bigint, last bigint)
language plpgsql volatile
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  v_one record;
  v_accounts bigint := 0;
  v_batch bigint;
  v_now timestamptz;
  v_anchor_by timestamptz;
  v_account bigint;
  v_last bigint;
begin
  if knows_any(p_sampled_accounts, p_sampled) then
    return;
  end if;
  for v_one in
    select b.* from begin_acceptance(array(select distinct a.id from unnest(p_accounts) as a (id)), p_since, p_anchor_by) b
  loop
    v_accounts := v_accounts + 1;
    v_batch := v_one.batch;
    v_now := v_one.received_at;
    v_anchor_by := v_one.anchor_by;
    v_account := v_one.account_id;
    v_last := v_one.last;
    batch := v_batch;
    received_at := v_now;
    anchor_by := v_anchor_by;
    account_id := v_account;
    last := v_last;
    return next;
  end loop;
  if v_accounts = 1 then
    insert into proofs (account_id, digest, salt, batch, received_at, number, anchor_by)
      select v_account, i.digest, i.salt, v_batch, v_now, v_last + i.place, v_anchor_by
      from unnest(p_digests, p_salts, p_places) as i (digest, salt, place);
  else
    insert into proofs (account_id, digest, salt, batch, received_at, number, anchor_by)
      select i.account_id, i.digest, i.salt, v_batch, v_now, c.last + i.place, v_anchor_by
      from unnest(p_accounts, p_digests, p_salts, p_places) as i (account_id, digest, salt, place)
      join lateral (select n.last from account_numbers n where n.account_id = i.account_id limit 1) c on true;
  end if;
  perform describe_proofs(p_accounts, p_digests, p_salts, p_details);
end
$$;
comment on function accept_new is 'Accepts digests into the open batch that were never seen before; answers batch, time, promise and the last number before for each account, or nothing when a sampled one was seen.';

-- Accepts digests. One call, one transaction, one commit: when it returns, every row it names is durable. What begin_acceptance
-- says of locks holds until then. Rows are inserted in key order.
-- A caller that lost the answer calls again with the same salts and is answered as the first time.
-- Each digest is looked up through the primary key whatever the table's size was when the plan was made.
create or replace function accept_proofs(
  p_accounts bigint[], p_digests bytea[], p_salts bytea[], p_details jsonb[], p_since timestamptz[] default null,
  p_anchor_by timestamptz[] default null
)
returns table (
  ord bigint, salt bytea, batch bigint, received_at timestamptz, fresh boolean, number bigint, anchor_by timestamptz
)
language plpgsql volatile
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  v_accounts bigint[] := array(select distinct a.id from unnest(p_accounts) as a (id));
  v_batch bigint;
  v_now timestamptz;
  v_anchor_by timestamptz;
begin
  select b.batch, b.received_at, b.anchor_by into v_batch, v_now, v_anchor_by
    from begin_acceptance(v_accounts, p_since, p_anchor_by) b
    limit 1;
  return query
    with looked as (
      select i.ord, i.account_id, i.digest, i.salt, p.salt as old_salt, p.batch, p.received_at, p.number, p.anchor_by
      from (
        select u.* from unnest(p_accounts, p_digests, p_salts) with ordinality as u (account_id, digest, salt, ord)
        order by u.account_id, u.digest, u.ord
      ) i
      left join lateral (
        select q.salt, q.batch, q.received_at, q.number, q.anchor_by from proofs q
        where q.account_id = i.account_id and q.digest = i.digest limit 1
      ) p on true
    ), first as (
      -- The same digest twice in one call: the first one is stored.
      select l.*, l.number is null and row_number() over same = 1 as takes, first_value(l.salt) over same as new_salt
      from looked l window same as (partition by l.account_id, l.digest order by l.ord)
    ), placed as (
      select f.*, count(*) filter (where f.takes) over (partition by f.account_id order by f.ord) as place from first f
    ), told as (
      select p.*, c.last + max(p.place) filter (where p.takes) over (partition by p.account_id, p.digest) as new_number
      from placed p
      join lateral (select n.last from account_numbers n where n.account_id = p.account_id limit 1) c on true
    ), stored as (
      insert into proofs (account_id, digest, salt, batch, received_at, number, anchor_by)
        select t.account_id, t.digest, t.salt, v_batch, v_now, t.new_number, v_anchor_by from told t where t.takes
        order by t.account_id, t.digest
    )
    select t.ord,
      case when t.number is null then t.new_salt else t.old_salt end,
      coalesce(t.batch, v_batch),
      coalesce(t.received_at, v_now),
      t.takes or coalesce(t.old_salt = t.salt, false),
      coalesce(t.number, t.new_number),
      case when t.number is null then v_anchor_by else t.anchor_by end
    from told t;
  perform describe_proofs(p_accounts, p_digests, p_salts, p_details);
end
$$;
comment on function accept_proofs is 'Accepts digests into the open batch; answers one row an item with the salt, batch, time and number that count, and whether the item was new.';

-- Looks up each digest too, where it looks at all.
alter function refuse_held(bigint[], bytea[]) set enable_hashjoin = off;
alter function refuse_held(bigint[], bytea[]) set enable_mergejoin = off;
alter function refuse_held(bigint[], bytea[]) set enable_seqscan = off;
alter function refuse_held(bigint[], bytea[]) set jit = off;
