-- The log: every administrative and authentication event, in one chain of hashes. Only ever appended to.

create table audit_head (
  one boolean not null default true,
  number bigint not null,
  hash bytea not null,
  constraint audit_head_pkey primary key (one),
  constraint audit_head_one check (one),
  constraint audit_head_hash_length check (octet_length(hash) = 32)
);
insert into audit_head (number, hash) values (0, decode(repeat('00', 32), 'hex'));
comment on table audit_head is 'The newest row of the log. Exactly one row; whoever appends holds its lock until the commit, so numbers have no hole and ascend with the time.';
comment on column audit_head.one is 'Always true.';
comment on column audit_head.number is 'Number of the newest row; 0 when there is none.';
comment on column audit_head.hash is 'Its hash; zeros when there is none.';

create table audit_log (
  number bigint not null,
  account_id bigint,
  entry text not null,
  previous bytea not null,
  hash bytea not null,
  constraint audit_log_pkey primary key (number),
  constraint audit_log_hash_key unique (hash),
  constraint audit_log_number_positive check (number >= 1),
  constraint audit_log_hash_is_of_entry check (hash = sha256(previous || convert_to(entry, 'UTF8')))
);
create index audit_log_account on audit_log (account_id, number);
comment on table audit_log is 'Administrative and authentication events. Rows are never changed or deleted: triggers refuse it, the chain of hashes shows it, and heads of the chain are sealed as proofs of account 0.';
comment on column audit_log.number is 'Counts from 1 without a hole.';
comment on column audit_log.account_id is 'The account it is about; null when it is about none.';
comment on column audit_log.entry is 'JSON text: number, at, actor, action, account, address, detail. Hashed byte for byte as it stands here.';
comment on column audit_log.previous is 'Hash of the row before; zeros in the first.';
comment on column audit_log.hash is 'SHA-256 of previous and entry.';

create function never_changed() returns trigger
language plpgsql
as $$
begin
  raise exception '% is only ever appended to', tg_table_name using errcode = 'SL001';
end
$$;
comment on function never_changed is 'Refuses what changes a table that is only appended to.';
create trigger audit_log_never_changed before update or delete or truncate on audit_log execute function never_changed();
create trigger audit_head_never_removed before delete or truncate on audit_head execute function never_changed();

-- Appends one event. Waits for whoever is appending until that transaction ends, so it is called last in a transaction:
-- the triggers below are deferred to its end, and so cannot deadlock with locks that are taken before.
create function note(p_actor text, p_action text, p_account bigint, p_detail jsonb, p_address text default null) returns bigint
language plpgsql volatile
as $$
declare
  v_number bigint;
  v_previous bytea;
  v_entry text;
begin
  select h.number + 1, h.hash into strict v_number, v_previous from audit_head h for update;
  v_entry := (jsonb_strip_nulls(jsonb_build_object(
    'number', v_number,
    'at', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'actor', p_actor,
    'action', p_action,
    'account', p_account,
    'address', p_address
  )) || jsonb_build_object('detail', coalesce(p_detail, '{}')))::text;
  insert into audit_log (number, account_id, entry, previous, hash)
    values (v_number, p_account, v_entry, v_previous, sha256(v_previous || convert_to(v_entry, 'UTF8')));
  update audit_head set number = v_number, hash = (select l.hash from audit_log l where l.number = v_number);
  return v_number;
end
$$;
comment on function note is 'Appends an event to the log and answers its number.';

-- Notes every change of a row, in the transaction that makes it: also what a hand changes. Its arguments are a noun, the
-- column with the account it is about, the columns that name the row, and the columns that are left out: secrets, and what
-- changes by itself. Who did it is said by the settings sceau.actor and sceau.address.
create function note_change() returns trigger
language plpgsql
as $$
declare
  v_old jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) else '{}' end;
  v_new jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) else '{}' end;
  v_row jsonb := case when tg_op = 'DELETE' then v_old else v_new end;
  v_names text[] := string_to_array(tg_argv[2], ' ');
  v_hidden text[] := string_to_array(coalesce(tg_argv[3], ''), ' ');
  v_detail jsonb;
  v_secret boolean;
begin
  select coalesce(jsonb_object_agg(e.key, e.value), '{}') into v_detail
    from jsonb_each(v_new) e where e.value is distinct from v_old -> e.key and not e.key = any (v_hidden)
      and (tg_op = 'UPDATE' or e.value <> 'null');
  -- That a secret changed is said, what it is never.
  v_secret := tg_op = 'UPDATE' and (v_new -> 'empreinte_hash' is distinct from v_old -> 'empreinte_hash'
    or v_new -> 'secret_hash' is distinct from v_old -> 'secret_hash');
  if tg_op = 'UPDATE' and v_detail = '{}' and not v_secret then
    return null;
  end if;
  if v_secret then
    v_detail := v_detail || '{"secret": "changed"}';
  end if;
  v_detail := (select coalesce(jsonb_object_agg(e.key, e.value), '{}') from jsonb_each(v_row) e where e.key = any (v_names)) || v_detail;
  perform note(
    coalesce(nullif(current_setting('sceau.actor', true), ''), 'database user ' || session_user),
    tg_argv[0] || case tg_op when 'INSERT' then '.created' when 'UPDATE' then '.changed' else '.removed' end,
    (v_row ->> nullif(tg_argv[1], ''))::bigint,
    v_detail,
    nullif(current_setting('sceau.address', true), '')
  );
  return null;
end
$$;
comment on function note_change is 'Trigger: appends the change of a row to the log.';

create constraint trigger accounts_noted after insert or update or delete on accounts
  deferrable initially deferred for each row execute function note_change('account', 'id', 'name');
create constraint trigger credentials_noted after insert or update or delete on credentials
  deferrable initially deferred for each row execute function note_change('credential', 'account_id', 'consumer_key', 'secret_hash id');
create constraint trigger account_clients_noted after insert or update or delete on account_clients
  deferrable initially deferred for each row execute function note_change('client', 'client_id', 'manager_id client_id');
create constraint trigger validators_noted after insert or update or delete on validators
  deferrable initially deferred for each row execute function note_change('validator', 'account_id', 'account_id validator_id');
create constraint trigger identities_noted after insert or update or delete on identities
  deferrable initially deferred for each row
  execute function note_change('identity', 'account_id', 'identifiant', 'empreinte_hash changed_at indexed_at');
create constraint trigger default_limits_noted after insert or update or delete on default_limits
  deferrable initially deferred for each row execute function note_change('default_limits', '', '', 'one');
create constraint trigger anchor_policy_noted after insert or update or delete on anchor_policy
  deferrable initially deferred for each row execute function note_change('anchor_policy', '', '');
create constraint trigger targets_noted after insert or update of retired_at or delete on targets
  deferrable initially deferred for each row execute function note_change('target', '', 'id chain_id registry');
create constraint trigger revoked_tokens_noted after insert on revoked_tokens
  deferrable initially deferred for each row execute function note_change('revoked_token', 'account_id', 'jti');
create constraint trigger calls_noted after insert or update or delete on calls
  deferrable initially deferred for each row execute function note_change('call', '', 'lane_id nonce', 'raw');

-- Imports are of many rows: one event for each account and statement.
create function note_import() returns trigger
language plpgsql
as $$
begin
  perform note(
      coalesce(nullif(current_setting('sceau.actor', true), ''), 'database user ' || session_user),
      'documents.imported', i.account_id, jsonb_build_object('count', i.count)
    )
    from (select account_id, count(*) as count from fresh group by account_id order by account_id) i;
  return null;
end
$$;
comment on function note_import is 'Trigger: appends to the log how many documents were moved in.';
create trigger declared_dates_noted after insert on declared_dates referencing new table as fresh
  for each statement execute function note_import();

alter table account_clients add column administers boolean not null default false;
comment on column account_clients.administers is 'Whether the manager may also administer the client''s account over the core API: it made it, or the operator said so.';
