-- Accepting many digests with less work for each: they come as one run of bytes instead of arrays whose elements are received, unpacked
-- and stored beside one after the other; and what is counted is counted in one pass.

-- The items of a call of accept_new, in its order: whose, the number that follows from the account's last one, digest and salt.
-- Inlined where it is used.
create function unpacked(p_accounts bigint[], p_lasts bigint[], p_counts integer[], p_digests bytea, p_salts bytea)
returns table (account_id bigint, number bigint, digest bytea, salt bytea)
language sql stable
as $$
  select g.id, g.last + g.i - g.before, substr(p_digests, 32 * g.i - 31, 32), substr(p_salts, 16 * g.i - 15, 16)
  from (
    select r.id, r.last, r.before, generate_series(r.before + 1, r.before + r.count) as i
    from (
      select u.id, u.last, u.count, (sum(u.count) over (order by u.ord))::integer - u.count as before
      from unnest(p_accounts, p_lasts, p_counts) with ordinality as u (id, last, count, ord)
    ) r
  ) g
$$;
comment on function unpacked is 'The items of a call of accept_new, in its order.';

-- As before. p_accounts are distinct and ascend; items come account by account, and p_counts says how many belong to each. p_digests has
-- 32 bytes an item and p_salts 16. The items of an account are numbered as they come, so the index on numbers grows at its ends only.
drop function accept_new(bigint[], bytea[], bytea[], bigint[], jsonb[], timestamptz[], timestamptz[], bigint[], bytea[]);
create function accept_new(
  p_accounts bigint[], p_counts integer[], p_digests bytea, p_salts bytea, p_details jsonb[],
  p_since timestamptz[], p_anchor_by timestamptz[], p_sampled_accounts bigint[], p_sampled bytea[]
)
returns table (batch bigint, received_at timestamptz, anchor_by timestamptz, account_id bigint, last bigint)
language plpgsql volatile
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set jit = off
set plan_cache_mode = force_generic_plan
as $$
#variable_conflict use_column
declare
  v_batch bigint;
  v_now timestamptz;
  v_anchor_by timestamptz;
  v_lasts bigint[];
  v_whose bigint[];
  v_digests bytea[];
  v_salts bytea[];
begin
  if knows_any(p_sampled_accounts, p_sampled) then
    return;
  end if;
  -- Batch, time and promise are the same for all.
  select min(b.batch), min(b.received_at), min(b.anchor_by), array_agg(b.last order by b.account_id)
    into v_batch, v_now, v_anchor_by, v_lasts
    from begin_acceptance(p_accounts, p_since, p_anchor_by) b;
  insert into proofs (account_id, digest, salt, batch, received_at, number, anchor_by)
    select i.account_id, i.digest, i.salt, v_batch, v_now, i.number, v_anchor_by
    from unpacked(p_accounts, v_lasts, p_counts, p_digests, p_salts) i;
  -- Who has details, an identity or documents that wait pays for having them looked at one by one.
  if p_details is not null
    or exists (select from identities d where d.account_id = any (p_accounts))
    or exists (select from validations w where w.account_id = any (p_accounts) and w.state <> 'accepted')
  then
    select array_agg(i.account_id), array_agg(i.digest), array_agg(i.salt) into v_whose, v_digests, v_salts
      from unpacked(p_accounts, v_lasts, p_counts, p_digests, p_salts) i;
    perform describe_proofs(v_whose, v_digests, v_salts, p_details);
    perform refuse_held(v_whose, v_digests);
  end if;
  return query
    select v_batch, v_now, v_anchor_by, u.id, u.last from unnest(p_accounts, v_lasts) as u (id, last);
end
$$;
comment on function accept_new is 'Accepts digests into the open batch that were never seen before; answers batch, time, promise and the last number before for each account, or nothing when a sampled one was seen. SC001: one waits for its validators, or was refused.';

-- As before, in one pass over the new rows.
create or replace function count_proofs() returns trigger
language plpgsql volatile
set enable_hashjoin = off set enable_mergejoin = off set jit = off
as $$
declare
  v_groups bigint;
  v_counted bigint;
  v_account bigint;
begin
  with new as materialized (
    select f.account_id, f.batch, count(*) as digests, min(f.number) as first, max(f.number) as last,
      max(f.received_at) as received_at, min(f.anchor_by) as anchor_by_first, max(f.anchor_by) as anchor_by_last
    from fresh f group by f.account_id, f.batch
  ), whose as materialized (
    select n.account_id, sum(n.digests)::bigint as digests, min(n.first) as first, max(n.last) as last, max(n.received_at) as received_at
    from new n group by n.account_id
  ), counted as (
    update account_numbers c set last = w.last
      from whose w
      where c.account_id = w.account_id and c.last + 1 = w.first and c.last + w.digests = w.last
    returning c.account_id
  ), promised as (
    -- Once a scheduled seal, not once a call: other calls wait for this row until the commit.
    update batches b
      set anchor_by_first = least(b.anchor_by_first, n.first), anchor_by_last = greatest(b.anchor_by_last, n.last)
      from (
        select n.batch, min(n.anchor_by_first) as first, max(n.anchor_by_last) as last
        from new n where n.anchor_by_first is not null group by n.batch
      ) n
      where b.number = n.batch and (b.anchor_by_first is null or n.first < b.anchor_by_first or n.last > b.anchor_by_last)
  ), used as (
    insert into daily_usage as u (account_id, day, digests)
      select w.account_id, (w.received_at at time zone 'UTC')::date, w.digests
      from whose w
      join accounts a on a.id = w.account_id
      cross join default_limits d
      where current_setting('sceau.quota', true) is distinct from 'off'
        and coalesce(a.digests_per_day, d.digests_per_day) < 9223372036854775807
      order by w.account_id
      on conflict on constraint daily_usage_pkey do update set digests = u.digests + excluded.digests
      returning u.account_id, u.digests
  )
  select (select count(*) from whose), (select count(*) from counted),
    (
      select u.account_id from used u join accounts a on a.id = u.account_id cross join default_limits d
      where u.digests > coalesce(a.digests_per_day, d.digests_per_day)
      limit 1
    )
    into v_groups, v_counted, v_account;
  if v_counted <> v_groups then
    raise exception 'the numbers of new proofs do not follow those of their account';
  end if;
  if v_account is not null then
    raise exception 'no digests left for today' using errcode = 'SQ001', detail = v_account::text;
  end if;
  return null;
end
$$;

-- For the same reason its pages can be left full.
alter index proofs_number set (fillfactor = 100);
