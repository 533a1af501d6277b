-- The leaf of an erased proof stood in its digest's place. A leaf is no secret: tiles show it, and whoever had the receipt can compute it.
-- So its owner could submit it as a digest, before the proof was erased or after, and each then was in the other's way. With a byte
-- before it the leaf has a place where no digest can be.

alter table proofs drop constraint proofs_digest_length;
alter table validations drop constraint validations_digest_length;
update validations w set digest = '\x00'::bytea || w.digest
  from erasures e
  where e.account_id = w.account_id and e.leaf = w.digest and w.salt = decode(repeat('00', 16), 'hex');
update proofs p set digest = '\x00'::bytea || p.digest
  from erasures e
  where e.account_id = p.account_id and e.leaf = p.digest and p.salt is null;
alter table proofs
  add constraint proofs_digest_length check (octet_length(digest) = case when salt is null then 33 else 32 end);
alter table validations add constraint validations_digest_length check (octet_length(digest) in (32, 33));
comment on column proofs.digest is 'SHA-256 of the document, as submitted; of an erased proof a zero byte and the hash of its leaf, which is no digest.';
comment on column validations.digest is 'SHA-256 of the document, as submitted; of an erased proof what proofs has in its place.';
comment on table erasures is 'Proofs whose salt and details were erased. In proofs a zero byte and the leaf stand in the digest''s place, so tree and audit stay whole; never taken back.';

-- As in 0023: a digest finds no leaf.
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

-- As in 0017: a digest finds no leaf.
create or replace function await_validation(
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

drop function refuse_erased();

-- As before, but for the place of the leaf.
create or replace function erase_proof(p_account bigint, p_digest bytea, p_by text) returns text
language plpgsql volatile
as $$
declare
  v_proof proofs;
  v_leaf bytea;
  v_place bytea;
begin
  perform from account_numbers c where c.account_id = p_account for no key update;
  select * into v_proof from proofs p
    where p.account_id = p_account and p.digest = p_digest and p.salt is not null for update;
  if not found then
    return 'unknown';
  end if;
  if exists (select from decisions d where d.digest = p_digest) then
    return 'decision';
  end if;
  if not exists (
    select from batches b
    where b.number = v_proof.batch and b.state = 'sealed'
      and (select count(*) from anchors a where a.batch = b.number and a.state = 'final') >= b.anchors_needed
  ) or exists (select from anchors a where a.batch = v_proof.batch and a.state in ('planned', 'sent', 'included')) then
    return 'early';
  end if;
  v_leaf := sha256('\x00'::bytea || v_proof.digest || v_proof.salt);
  v_place := '\x00'::bytea || v_leaf;
  delete from proof_labels l
    using proof_details d, unnest(d.labels) as u (label)
    where d.account_id = p_account and d.digest = p_digest
      and l.account_id = p_account and l.label = u.label and l.number = v_proof.number;
  delete from proof_details d where d.account_id = p_account and d.digest = p_digest;
  delete from declared_dates d where d.account_id = p_account and d.digest = p_digest;
  delete from certificate_links c where c.account_id = p_account and c.digest = p_digest;
  delete from doubled_digests d where d.account_id = p_account and d.doubled = doubled_digest(p_digest);
  update validations w set details = null, salt = decode(repeat('00', 16), 'hex'), digest = v_place
    where w.account_id = p_account and w.digest = p_digest;
  -- Answers that tell the salt, and seeds it could be drawn from again.
  delete from idempotency_keys k
    where k.account_id = p_account
      and (position(convert_to(encode(p_digest, 'hex'), 'UTF8') in k.body) > 0
        or (k.seed is not null and k.claimed_until < clock_timestamp()));
  insert into erasures (account_id, number, digest, leaf, erased_by)
    values (p_account, v_proof.number, p_digest, v_leaf, p_by);
  update proofs p set digest = v_place, salt = null where p.account_id = p_account and p.digest = p_digest;
  return 'erased';
end
$$;
comment on function erase_proof is 'Erases salt and details of a final proof; its leaf stays. Answers erased, unknown, early or decision.';
