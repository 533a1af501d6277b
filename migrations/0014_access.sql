-- How an account gets in: from where, by which ways, how often.

alter table accounts
  add column basic boolean not null default false,
  add column networks cidr[],
  add column token_generation bigint not null default 0,
  add column requests_per_second integer,
  add column burst integer,
  add column digests_per_day bigint,
  add constraint accounts_networks_some check (cardinality(networks) between 1 and 100),
  add constraint accounts_requests_positive check (requests_per_second >= 1 and burst >= 1),
  add constraint accounts_digests_natural check (digests_per_day >= 0);
comment on column accounts.basic is 'Whether key and secret are taken in place of a token (Basic) on the routes of the API.';
comment on column accounts.networks is 'From where the account may ask; null: from anywhere.';
comment on column accounts.token_generation is 'Stands in every token of the account; tokens of another generation are refused. Raised to take all of them back.';
comment on column accounts.requests_per_second is 'Requests that are let through in the long run, on each instance; null: as default_limits says.';
comment on column accounts.burst is 'Requests that are let through at once, on each instance; null: as default_limits says.';
comment on column accounts.digests_per_day is 'New digests a day (UTC), on all instances together; null: as default_limits says. The largest number stands for no limit.';

create table default_limits (
  one boolean not null default true,
  requests_per_second integer not null,
  burst integer not null,
  digests_per_day bigint not null,
  constraint default_limits_pkey primary key (one),
  constraint default_limits_one check (one),
  constraint default_limits_requests_positive check (requests_per_second >= 1 and burst >= 1),
  constraint default_limits_digests_natural check (digests_per_day >= 0)
);
insert into default_limits (requests_per_second, burst, digests_per_day) values (1000, 2000, 9223372036854775807);
comment on table default_limits is 'Limits of accounts that have none of their own. Exactly one row: every instance reads the same.';
comment on column default_limits.one is 'Always true.';
comment on column default_limits.requests_per_second is 'Requests that are let through in the long run, on each instance.';
comment on column default_limits.burst is 'Requests that are let through at once, on each instance.';
comment on column default_limits.digests_per_day is 'New digests a day (UTC), on all instances together. The largest number stands for no limit.';

create table revoked_tokens (
  jti bytea not null,
  account_id bigint not null,
  expires_at timestamptz not null,
  constraint revoked_tokens_pkey primary key (jti),
  constraint revoked_tokens_account_fkey foreign key (account_id) references accounts (id),
  constraint revoked_tokens_jti_length check (octet_length(jti) = 16)
);
create index revoked_tokens_account on revoked_tokens (account_id);
comment on table revoked_tokens is 'Access tokens taken back one by one (RFC 7009). Rows go when the token would have ended anyway.';
comment on column revoked_tokens.jti is 'Name of the token.';
comment on column revoked_tokens.account_id is 'Whose token it was.';
comment on column revoked_tokens.expires_at is 'End of its life, with the leeway for clocks.';

create table daily_usage (
  account_id bigint not null,
  day date not null,
  digests bigint not null,
  constraint daily_usage_pkey primary key (account_id, day)
);
comment on table daily_usage is 'New digests that an account submitted on a day, while it has a daily limit. Written with the proofs, in their transaction.';
comment on column daily_usage.account_id is 'Whose digests.';
comment on column daily_usage.day is 'The day, UTC.';
comment on column daily_usage.digests is 'How many were accepted for the first time.';

-- Counts what was really inserted, in the same transaction, so the count is right whatever was repeated, crashed or ran
-- beside it on other instances; and refuses what is too much. The rows of daily_usage come after all rows of proofs and
-- in the order of accounts, so two calls cannot deadlock over them. Accounts without a limit are not counted: for them
-- no row is written that two calls could wait for. Only what an account submits itself is counted: where sceau.quota is
-- off (a validator decides, an operator imports) nothing is counted and nothing refused.
create function count_digests() returns trigger
language plpgsql
as $$
declare
  v_account bigint;
begin
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
comment on function count_digests is 'Counts new proofs of accounts with a daily limit; refuses with SQLSTATE SQ001, and the account as its detail, what goes beyond it.';
create trigger proofs_counted after insert on proofs referencing new table as fresh
  for each statement execute function count_digests();
alter function decide(uuid, bigint, text, text, timestamptz, text, bytea, bytea) set sceau.quota = 'off';
