-- Documents that wait for validators, and what the validators decided.

alter table accounts
  add column approvals_needed smallint not null default 1,
  add constraint accounts_approvals_needed_range check (approvals_needed between 1 and 10);
comment on column accounts.approvals_needed is 'How many of its validators must approve a document of this account that waits for them.';

create table validators (
  id bigint generated always as identity,
  account_id bigint not null,
  validator_id bigint not null,
  added_at timestamptz not null default clock_timestamp(),
  removed_at timestamptz,
  constraint validators_pkey primary key (id),
  constraint validators_account_fkey foreign key (account_id) references accounts (id),
  constraint validators_validator_fkey foreign key (validator_id) references accounts (id),
  constraint validators_somebody_else check (account_id <> validator_id),
  constraint validators_in_order check (removed_at >= added_at)
);
create unique index validators_once on validators (account_id, validator_id) where removed_at is null;
create index validators_of_whom on validators (validator_id) where removed_at is null;
comment on table validators is 'Who may decide for whom, and since when. Rows are closed, never deleted: old decisions are judged by them.';
comment on column validators.id is 'Names the row inside this deployment.';
comment on column validators.account_id is 'Whose documents.';
comment on column validators.validator_id is 'The account that decides about them.';
comment on column validators.added_at is 'Since when it may.';
comment on column validators.removed_at is 'Since when it may no more; null while it may.';

create table validations (
  id uuid not null,
  account_id bigint not null,
  digest bytea not null,
  round integer not null,
  salt bytea not null,
  details jsonb,
  approvals_needed smallint not null,
  received_at timestamptz not null,
  state text not null,
  settled_at timestamptz,
  constraint validations_pkey primary key (id),
  constraint validations_account_fkey foreign key (account_id) references accounts (id),
  constraint validations_round_key unique (account_id, digest, round),
  constraint validations_round_positive check (round >= 1),
  constraint validations_digest_length check (octet_length(digest) = 32),
  constraint validations_salt_length check (octet_length(salt) = 16),
  constraint validations_approvals_needed_range check (approvals_needed between 1 and 10),
  constraint validations_state_known check (state in ('awaiting', 'refused', 'accepted')),
  constraint validations_state_whole check ((state = 'awaiting') = (settled_at is null))
);
-- A refused document may be submitted again, for a new round; one that waits or was accepted may not.
create unique index validations_one_open on validations (account_id, digest) where state <> 'refused';
create index validations_held on validations (account_id, digest) where state <> 'accepted';
create index validations_awaiting on validations (account_id, id) where state = 'awaiting';
comment on table validations is 'Digests that wait, or waited, for validators. Not in the pool: a digest enters proofs with the last approval it needs.';
comment on column validations.id is 'Names it outside; version 7, so that ids ascend with time.';
comment on column validations.account_id is 'Whose document it is.';
comment on column validations.digest is 'SHA-256 of the document, as submitted.';
comment on column validations.round is 'Counts from 1 how often the document was submitted for validation.';
comment on column validations.salt is 'The salt the proof gets when it is accepted; drawn and returned to the owner now.';
comment on column validations.details is 'What the submitter said about the document; copied to proof_details when it is accepted.';
comment on column validations.approvals_needed is 'As the account''s setting was when it was submitted.';
comment on column validations.received_at is 'Database time of the submission.';
comment on column validations.state is 'awaiting: decisions are missing. refused: a validator refused. accepted: approved, and in proofs.';
comment on column validations.settled_at is 'When it was refused or accepted.';

create table decisions (
  validation_id uuid not null,
  validator_id bigint not null,
  decision text not null,
  comment text not null,
  decided_at timestamptz not null,
  statement text not null,
  digest bytea not null,
  constraint decisions_pkey primary key (validation_id, validator_id),
  constraint decisions_validation_fkey foreign key (validation_id) references validations (id),
  constraint decisions_validator_fkey foreign key (validator_id) references accounts (id),
  constraint decisions_decision_known check (decision in ('approved', 'refused')),
  constraint decisions_comment_length check (length(comment) <= 1000),
  constraint decisions_digest_key unique (digest),
  constraint decisions_digest_of_statement check (digest = sha256(convert_to(statement, 'UTF8')))
);
comment on table decisions is 'What each validator decided, once, and the statement of it that is sealed. Never rewritten.';
comment on column decisions.validation_id is 'About what.';
comment on column decisions.validator_id is 'Who decided.';
comment on column decisions.decision is 'approved or refused.';
comment on column decisions.comment is 'What the validator said; empty when nothing.';
comment on column decisions.decided_at is 'Database time of the decision; the statement has it to the second.';
comment on column decisions.statement is 'Exact text of the statement sceau-decision/1 (verifier/SPEC.md).';
comment on column decisions.digest is 'SHA-256 of the statement: in proofs since the same transaction, as a proof of the document''s owner.';

-- Stores digests that are to wait for validators. One call, one transaction: when it returns, every row is durable.
--
-- A digest that is a proof already, that waits, or that was refused (unless asked for again) is answered as it stands.
-- Two calls at once with the same digest: one waits in the insert for the other's commit, inserts nothing, and answers
-- the other's row, because statements of a volatile function see the latest commits each. Rows go in in order of digest
-- so that the two cannot deadlock. A caller that lost the answer calls again with the same ids and is answered as the
-- first time. Where a direct submission of the same digest is in flight at the same moment, both may be stored; then the
-- order of the two is nobody's to say, and the proof stands.
create function await_validation(
  p_account bigint, p_ids uuid[], p_digests bytea[], p_salts bytea[], p_details jsonb[], p_again boolean[]
)
returns table (
  ord bigint, id uuid, state text, salt bytea, approvals_needed smallint, approvals bigint, received_at timestamptz,
  batch bigint, fresh boolean
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
      coalesce(p.received_at, w.received_at), p.batch, p.digest is null and w.id = i.id
    from unnest(p_ids, p_digests) with ordinality as i (id, digest, ord)
    left join proofs p on p.account_id = p_account and p.digest = i.digest
    left join lateral (
      select v.* from validations v where v.account_id = p_account and v.digest = i.digest order by v.round desc limit 1
    ) w on true;
end
$$;
comment on function await_validation is 'Stores digests that wait for validators; answers one row an item with how it stands, and whether it was new. SC002: too few validators.';

-- Refuses digests that wait for validators or were refused by one, unless they are proofs all the same. Called in the
-- statement that accepts digests directly, so that nothing is accepted around its validators. Accounts that have
-- nothing waiting cost one look at an index.
create function refuse_held(p_accounts bigint[], p_digests bytea[]) returns void
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
      and not exists (select from proofs p where p.account_id = i.account_id and p.digest = i.digest)
  ) then
    raise exception 'a digest waits for its validators, or was refused by one' using errcode = 'SC001';
  end if;
end
$$;
comment on function refuse_held is 'Raises SC001 when a digest waits for validators or was refused by one.';

-- Records a decision. One call, one transaction: the decision, its own digest in the pool, the new state, and, with the
-- last approval that is needed, the document in the pool. Whatever fails or crashes, all of it took place or none.
--
-- The row lock puts decisions about one document in order; the lock on the validator's row keeps it from being removed
-- meanwhile. accept_proofs takes the shared lock of the open batch last, and whoever closes the batch takes no row of
-- these tables, so there is no cycle. A caller that lost the answer calls again and is told 'repeated'.
create function decide(
  p_validation uuid, p_validator bigint, p_decision text, p_comment text, p_decided_at timestamptz, p_statement text,
  p_digest bytea, p_salt bytea
)
returns text
language plpgsql volatile
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
    perform from accept_proofs(array[v_row.account_id], array[p_digest], array[p_salt], array[v_about]);
    return 'recorded';
  end if;
  update validations w set state = case p_decision when 'approved' then 'accepted' else 'refused' end,
      settled_at = clock_timestamp()
    where w.id = p_validation;
  if p_decision = 'approved' then
    perform from accept_proofs(
      array[v_row.account_id, v_row.account_id], array[v_row.digest, p_digest], array[v_row.salt, p_salt],
      array[v_row.details, v_about]
    );
  else
    perform from accept_proofs(array[v_row.account_id], array[p_digest], array[p_salt], array[v_about]);
  end if;
  return 'recorded';
end
$$;
comment on function decide is 'Records what a validator decided and seals it with the pool; with the last approval the document enters the pool. Answers recorded, repeated, differs, settled or unknown.';
