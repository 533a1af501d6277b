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
