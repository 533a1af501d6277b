-- By when each proof was promised to be anchored, kept with it: a later change of the settings changes no promise.

alter table batches add column anchor_by_first timestamptz, add column anchor_by_last timestamptz,
  add constraint batches_anchor_by_in_order check (anchor_by_first <= anchor_by_last),
  add constraint batches_anchor_by_whole check ((anchor_by_first is null) = (anchor_by_last is null));
comment on column batches.anchor_by_first is 'The earliest anchor_by of its proofs; null while none has one.';
comment on column batches.anchor_by_last is 'The latest of them.';

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
-- By when a proof is promised to be anchored follows from the schedule, which the caller knows, and from the time of
-- acceptance, which is read here. So the caller sends terms: what is received from p_since[i] on is promised for
-- p_anchor_by[i]; the last of p_since ends the terms with a null. A caller whose clock is wrong sends terms of another
-- time: nothing is stored, and SC003 says what time it is here (microseconds since 1970).
--
-- An identity is made under the same advisory lock taken exclusively, so a call either sees it and keeps the doubled
-- digests of its proofs, or has committed before whoever made the identity brings in what was accepted until then. A call
-- without proofs of such accounts pays one look into a small table.
drop function accept_proofs(bigint[], bytea[], bytea[], jsonb[], timestamptz);
create function accept_proofs(
  p_accounts bigint[], p_digests bytea[], p_salts bytea[], p_details jsonb[], p_since timestamptz[] default null,
  p_anchor_by timestamptz[] default null
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
  v_anchor_by timestamptz;
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
  if p_since is not null then
    v_anchor_by := (
      select t.anchor_by from unnest(p_since, p_anchor_by) as t (since, anchor_by) where t.since <= v_now order by t.since desc limit 1
    );
    if v_anchor_by is null then
      raise exception 'there are no terms for what is received now'
        using errcode = 'SC003', detail = (extract(epoch from v_now) * 1000000)::bigint::text;
    end if;
  end if;
  with fresh as (
    insert into proofs (account_id, digest, salt, batch, received_at, number, anchor_by)
      select n.account_id, n.digest, n.salt, v_batch, v_now, c.last + n.place, v_anchor_by
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
  -- Once a scheduled seal, not once a call: other calls wait for this row until the commit.
  if found and v_anchor_by is not null then
    update batches b
      set anchor_by_first = least(b.anchor_by_first, v_anchor_by), anchor_by_last = greatest(b.anchor_by_last, v_anchor_by)
      where b.number = v_batch and (b.anchor_by_first is null or v_anchor_by < b.anchor_by_first or v_anchor_by > b.anchor_by_last);
  end if;
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

-- Records a decision. One call, one transaction: the decision, its own digest in the pool, the new state, and, with the
-- last approval that is needed, the document in the pool. Whatever fails or crashes, all of it took place or none.
--
-- The row lock puts decisions about one document in order; the lock on the validator's row keeps it from being removed
-- meanwhile. accept_proofs takes the shared lock of the open batch last, and whoever closes the batch takes no row of
-- these tables, so there is no cycle. A caller that lost the answer calls again and is told 'repeated'.
drop function decide(uuid, bigint, text, text, timestamptz, text, bytea, bytea);
create function decide(
  p_validation uuid, p_validator bigint, p_decision text, p_comment text, p_decided_at timestamptz, p_statement text,
  p_digest bytea, p_salt bytea, p_since timestamptz[] default null, p_anchor_by timestamptz[] default null
)
returns text
language plpgsql volatile
set sceau.quota = 'off'
as $$
declare
  v_row validations;
  v_before text;
  v_about jsonb := jsonb_build_object('reference', p_validation, 'labels', jsonb_build_array('sceau-decision/1'));
begin
  select * into v_row from validations w where w.id = p_validation for update;
  if not found then
    return 'unknown';
  end if;
  perform from validators v
    where v.account_id = v_row.account_id and v.validator_id = p_validator and v.removed_at is null
      and v.added_at <= p_decided_at
    for share;
  if not found then
    return 'unknown';
  end if;
  select d.decision into v_before from decisions d where d.validation_id = p_validation and d.validator_id = p_validator;
  if found then
    return case when v_before = p_decision then 'repeated' else 'differs' end;
  end if;
  if v_row.state <> 'awaiting' then
    return 'settled';
  end if;
  insert into decisions (validation_id, validator_id, decision, comment, decided_at, statement, digest)
    values (p_validation, p_validator, p_decision, p_comment, p_decided_at, p_statement, p_digest);
  if p_decision = 'approved'
    and (select count(*) from decisions d where d.validation_id = p_validation) < v_row.approvals_needed
  then
    perform from accept_proofs(array[v_row.account_id], array[p_digest], array[p_salt], array[v_about], p_since, p_anchor_by);
    return 'recorded';
  end if;
  update validations w set state = case p_decision when 'approved' then 'accepted' else 'refused' end,
      settled_at = clock_timestamp()
    where w.id = p_validation;
  if p_decision = 'approved' then
    perform from accept_proofs(
      array[v_row.account_id, v_row.account_id], array[v_row.digest, p_digest], array[v_row.salt, p_salt],
      array[v_row.details, v_about], p_since, p_anchor_by
    );
  else
    perform from accept_proofs(array[v_row.account_id], array[p_digest], array[p_salt], array[v_about], p_since, p_anchor_by);
  end if;
  return 'recorded';
end
$$;
comment on function decide is 'Records what a validator decided and seals it with the pool; with the last approval the document enters the pool. Answers recorded, repeated, differs, settled or unknown.';
