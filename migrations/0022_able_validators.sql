-- A document waits only where enough validators can decide. Those whose account was disabled cannot, so they do not count.

create index validators_ever on validators (validator_id);
comment on index validators_ever is 'Finds whom a validator decides or decided for.';

-- Beside the check in await_validation, which counts every validator that was not removed.
create function count_validators() returns trigger
language plpgsql
as $$
begin
  if exists (
    select from (select f.account_id, max(f.approvals_needed) as needed from fresh f group by f.account_id) w
    where (
      select count(*) from validators v join accounts a on a.id = v.validator_id
      where v.account_id = w.account_id and v.removed_at is null and a.disabled_at is null
    ) < w.needed
  ) then
    raise exception 'the account has fewer validators than approvals are needed' using errcode = 'SC002';
  end if;
  return null;
end
$$;
comment on function count_validators is 'Refuses with SQLSTATE SC002 documents that are to wait for more validators than can decide.';
create trigger validations_counted after insert on validations referencing new table as fresh
  for each statement execute function count_validators();

-- As before, but whatever the order is in which one statement calls this and accept_proofs: what the same transaction has just
-- put into proofs is no reason to let it in.
create or replace function refuse_held(p_accounts bigint[], p_digests bytea[]) returns void
language plpgsql volatile
as $$
declare
  v_accounts bigint[];
begin
  select array_agg(a.id) into v_accounts
    from (select distinct u.id from unnest(p_accounts) as u (id)) a
    where exists (select from validations w where w.account_id = a.id and w.state <> 'accepted');
  if v_accounts is not null and exists (
    select from unnest(p_accounts, p_digests) as i (account_id, digest)
    where i.account_id = any (v_accounts)
      and exists (
        select from validations w
        where w.account_id = i.account_id and w.digest = i.digest and w.state <> 'accepted'
      )
      and not exists (
        select from proofs p
        where p.account_id = i.account_id and p.digest = i.digest and p.xmin <> pg_current_xact_id()::xid
      )
  ) then
    raise exception 'a digest waits for its validators, or was refused by one' using errcode = 'SC001';
  end if;
end
$$;
