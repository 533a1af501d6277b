-- What changed, told to each account in a log of its own, and to its webhooks.

-- How far the proofs of a batch are, from its row and its anchors. The one place that says so.
create function proof_status(p_state text, p_needed integer, p_standing bigint, p_final bigint) returns text
language sql immutable parallel safe
return case
  when p_state in ('open', 'closed') then 'pending'
  when p_final >= p_needed then 'final'
  when p_standing >= p_needed then 'anchored'
  else 'sealed'
end;
comment on function proof_status is 'Status of a batch''s proofs: its state, in how many targets it must stand, in how many it does, in how many of these finally.';

create table changes (
  id bigint generated always as identity,
  kind text not null,
  batch bigint,
  account_id bigint,
  first bigint,
  last bigint,
  validation_id uuid,
  webhook_id uuid,
  before text,
  after text not null,
  at timestamptz not null default clock_timestamp(),
  told boolean not null default false,
  constraint changes_pkey primary key (id),
  constraint changes_kind_whole check (case kind
    when 'status' then batch is not null and account_id is null and before is not null
    when 'moved' then batch is not null and account_id is not null and first is not null and last is not null
    when 'overdue' then batch is not null and account_id is not null and first is not null and last is not null
    when 'document' then validation_id is not null
    when 'webhook' then webhook_id is not null and account_id is not null
    else false
  end)
);
create index changes_untold on changes (id) where not told;
create index changes_status on changes (batch, id) where kind = 'status';
create unique index changes_overdue on changes (batch, account_id) where kind = 'overdue';
comment on table changes is 'What changed, written in the transaction that changed it, and told to the accounts it concerns afterwards. Those of one batch, or of one document, ascend in the order of their commits.';
comment on column changes.id is 'Orders the changes of one batch, and of one document.';
comment on column changes.kind is 'status: of a batch. moved: a batch lost its proofs to a later one (recovery). overdue: a promise was broken. document: one that waits for validators. webhook: of its own doings.';
comment on column changes.batch is 'The batch.';
comment on column changes.account_id is 'Whom it concerns; null where batch or document say so.';
comment on column changes.first is 'Number of the account''s first proof concerned.';
comment on column changes.last is 'Number of its last one.';
comment on column changes.validation_id is 'The document.';
comment on column changes.webhook_id is 'The webhook.';
comment on column changes.before is 'Status before.';
comment on column changes.after is 'Status after; of webhooks what happened.';
comment on column changes.at is 'When.';
comment on column changes.told is 'Whether it is in the logs of the accounts.';

create table account_events (
  account_id bigint not null,
  seq bigint not null,
  id uuid not null default gen_random_uuid(),
  type text not null,
  at timestamptz not null,
  batch bigint,
  first bigint,
  last bigint,
  validation_id uuid,
  webhook_id uuid,
  before text,
  status text not null,
  constraint account_events_pkey primary key (account_id, seq),
  constraint account_events_seq_positive check (seq >= 1),
  constraint account_events_range check ((batch is null) = (first is null) and (batch is null) = (last is null) and first <= last)
);
comment on table account_events is 'One log an account: what became of its proofs and documents. Numbered from 1 without a hole. Append only.';
comment on column account_events.account_id is 'Whose log.';
comment on column account_events.seq is 'Place in the log.';
comment on column account_events.id is 'Names the event everywhere and for ever; a restored database gives no id twice.';
comment on column account_events.type is 'What happened.';
comment on column account_events.at is 'When it happened, not when it was told.';
comment on column account_events.batch is 'Batch of the proofs.';
comment on column account_events.first is 'Number of the account''s first proof concerned.';
comment on column account_events.last is 'Number of its last one.';
comment on column account_events.validation_id is 'The document that waits, or waited.';
comment on column account_events.webhook_id is 'The webhook it is about.';
comment on column account_events.before is 'Status before; null where there was none.';
comment on column account_events.status is 'Status since then.';

create table event_counters (
  account_id bigint not null,
  last bigint not null,
  constraint event_counters_pkey primary key (account_id),
  constraint event_counters_last_positive check (last >= 1)
) with (fillfactor = 50);
comment on table event_counters is 'How long each account''s log is. The row is locked by whoever appends.';
comment on column event_counters.account_id is 'Whose log.';
comment on column event_counters.last is 'Number of its newest event.';

create table webhooks (
  id uuid not null,
  account_id bigint not null,
  url text not null,
  types text[],
  secret bytea not null,
  previous bytea,
  previous_until timestamptz,
  created_at timestamptz not null default clock_timestamp(),
  state text not null default 'active',
  cursor bigint not null,
  tries integer not null default 0,
  failing_since timestamptz,
  next_at timestamptz not null default clock_timestamp(),
  parked_at timestamptz,
  claim bigint not null default 0,
  claimed_until timestamptz,
  constraint webhooks_pkey primary key (id),
  constraint webhooks_account_fkey foreign key (account_id) references accounts (id),
  constraint webhooks_url_length check (length(url) between 1 and 2048),
  constraint webhooks_state_known check (state in ('active', 'parked')),
  constraint webhooks_parked_whole check ((state = 'parked') = (parked_at is not null)),
  constraint webhooks_previous_whole check ((previous is null) = (previous_until is null)),
  constraint webhooks_failing_whole check ((tries = 0) = (failing_since is null)),
  constraint webhooks_cursor_natural check (cursor >= 0)
);
create index webhooks_account on webhooks (account_id);
create index webhooks_waiting on webhooks (next_at) where state = 'active';
comment on table webhooks is 'Where accounts have their events sent.';
comment on column webhooks.id is 'Names it outside.';
comment on column webhooks.account_id is 'Whose events.';
comment on column webhooks.url is 'Where they go.';
comment on column webhooks.types is 'The only types that are sent; null: all.';
comment on column webhooks.secret is 'The secret that signs, encrypted under a key derived from the pepper: nonce, ciphertext, tag.';
comment on column webhooks.previous is 'The secret before it was changed, in the same form.';
comment on column webhooks.previous_until is 'Until when the secret before signs as well.';
comment on column webhooks.created_at is 'When it was made.';
comment on column webhooks.state is 'active: events are sent. parked: given up until its owner resumes it.';
comment on column webhooks.cursor is 'The event up to which everything was taken.';
comment on column webhooks.tries is 'Failed deliveries of the event behind the cursor.';
comment on column webhooks.failing_since is 'When the first of these failed.';
comment on column webhooks.next_at is 'Not before then.';
comment on column webhooks.parked_at is 'When it was given up.';
comment on column webhooks.claim is 'Grows each time an instance takes it up, or its owner moves the cursor: who comes back late changes nothing.';
comment on column webhooks.claimed_until is 'Until when that instance has it to itself.';

create table webhook_deliveries (
  id bigint generated always as identity,
  webhook_id uuid not null,
  seq bigint not null,
  event_id uuid not null,
  type text not null,
  attempt integer not null,
  at timestamptz not null default clock_timestamp(),
  duration_ms integer not null,
  status smallint,
  error text,
  answer text,
  constraint webhook_deliveries_pkey primary key (id),
  constraint webhook_deliveries_webhook_fkey foreign key (webhook_id) references webhooks (id) on delete cascade,
  constraint webhook_deliveries_answer_length check (length(answer) <= 1024)
);
create index webhook_deliveries_webhook on webhook_deliveries (webhook_id, id);
comment on table webhook_deliveries is 'The newest deliveries of each webhook, tried or done. Older ones are deleted.';
comment on column webhook_deliveries.id is 'Orders the rows.';
comment on column webhook_deliveries.webhook_id is 'Through which webhook.';
comment on column webhook_deliveries.seq is 'Place of the event in the log.';
comment on column webhook_deliveries.event_id is 'The event.';
comment on column webhook_deliveries.type is 'Its type.';
comment on column webhook_deliveries.attempt is 'Counts its tries from 1.';
comment on column webhook_deliveries.at is 'When it ended.';
comment on column webhook_deliveries.duration_ms is 'How long it took.';
comment on column webhook_deliveries.status is 'HTTP status of the answer; null: there was none.';
comment on column webhook_deliveries.error is 'Why it does not count, in a word; null: it was taken.';
comment on column webhook_deliveries.answer is 'The beginning of the answer''s body.';

-- Writes down how far a batch is if that changed. The row lock comes first: of two anchors of one batch that change at
-- once, the second is counted after the first is committed, so k of n is never missed.
create function note_batch_status(p_batch bigint) returns void
language plpgsql volatile
as $$
declare
  v_state text;
  v_needed integer;
  v_before text;
  v_after text;
begin
  select b.state, b.anchors_needed into v_state, v_needed from batches b where b.number = p_batch for no key update;
  if not found then
    return;
  end if;
  select proof_status(v_state, v_needed, count(*) filter (where a.state in ('included', 'final')),
      count(*) filter (where a.state = 'final'))
    into v_after from anchors a where a.batch = p_batch;
  select c.after into v_before from changes c where c.kind = 'status' and c.batch = p_batch order by c.id desc limit 1;
  v_before := coalesce(v_before, 'pending');
  if v_before <> v_after then
    insert into changes (kind, batch, before, after) values ('status', p_batch, v_before, v_after);
  end if;
end
$$;
comment on function note_batch_status is 'Writes a row of changes when the status of a batch is another than the newest one written.';

create function note_of_anchor() returns trigger
language plpgsql volatile
as $$
begin
  perform note_batch_status(case when tg_op = 'DELETE' then old.batch else new.batch end);
  return null;
end
$$;
comment on function note_of_anchor is 'Notes what a change of an anchor means for its batch.';

create function note_of_batch() returns trigger
language plpgsql volatile
as $$
begin
  perform note_batch_status(new.number);
  return null;
end
$$;
comment on function note_of_batch is 'Notes what a change of a batch means for its status.';

-- At the commit, so that steps within one transaction are no changes of their own.
create constraint trigger anchors_made_noted after insert on anchors deferrable initially deferred for each row
  when (new.state in ('included', 'final')) execute function note_of_anchor();
create constraint trigger anchors_moved_noted after update on anchors deferrable initially deferred for each row
  when (old.state is distinct from new.state) execute function note_of_anchor();
create constraint trigger anchors_gone_noted after delete on anchors deferrable initially deferred for each row
  when (old.state in ('included', 'final')) execute function note_of_anchor();
create constraint trigger batches_noted after update on batches deferrable initially deferred for each row
  when (old.state is distinct from new.state or old.anchors_needed is distinct from new.anchors_needed)
  execute function note_of_batch();

create function note_documents() returns trigger
language plpgsql volatile
as $$
begin
  if tg_op = 'INSERT' then
    insert into changes (kind, validation_id, after) select 'document', m.id, m.state from made m order by m.id;
  else
    insert into changes (kind, validation_id, before, after) values ('document', new.id, old.state, new.state);
  end if;
  return null;
end
$$;
comment on function note_documents is 'Notes documents that begin to wait, and how they are settled.';
create trigger validations_made_noted after insert on validations referencing new table as made
  for each statement execute function note_documents();
create trigger validations_settled_noted after update on validations for each row
  when (old.state is distinct from new.state) execute function note_documents();

-- Writes what was noted into the logs of the accounts, oldest first, about p_most events. One transaction: what is told is
-- in every log it belongs to. A batch concerns each account with its range of numbers, a document its owner and those who
-- may decide about it.
create function tell_changes(p_most bigint) returns bigint
language plpgsql volatile
as $$
declare
  v_ids bigint[];
begin
  select array_agg(w.id) into v_ids from (
    select n.id, n.weight, sum(n.weight) over (order by n.id) as total from (
      select c.id, case c.kind
          when 'status' then greatest(1, (select count(*) from batch_accounts a where a.batch = c.batch))
          else 1
        end as weight
      from changes c where not c.told order by c.id limit p_most
    ) n
  ) w where w.total - w.weight < p_most;
  if v_ids is null then
    return 0;
  end if;
  with fan as materialized (
    select c.id, a.account_id, a.first, a.last
      from changes c join batch_accounts a on a.batch = c.batch where c.id = any (v_ids) and c.kind = 'status'
    union all
    select c.id, c.account_id, c.first, c.last from changes c where c.id = any (v_ids) and c.account_id is not null
    union all
    select c.id, v.account_id, null, null
      from changes c join validations v on v.id = c.validation_id where c.id = any (v_ids)
    union all
    select c.id, w.validator_id, null, null
      from changes c join validations v on v.id = c.validation_id
      join validators w on w.account_id = v.account_id and w.removed_at is null where c.id = any (v_ids)
  ), grown as (
    insert into event_counters as e (account_id, last)
      select f.account_id, count(*) from fan f group by f.account_id order by f.account_id
      on conflict on constraint event_counters_pkey do update set last = e.last + excluded.last
      returning e.account_id, e.last
  )
  insert into account_events (account_id, seq, type, at, batch, first, last, validation_id, webhook_id, before, status)
    select f.account_id,
      g.last - count(*) over (partition by f.account_id) + row_number() over (partition by f.account_id order by f.id),
      case
        when c.kind = 'document' then 'document.' || c.after
        when c.kind = 'webhook' then 'webhook.' || c.after
        when c.kind = 'overdue' then 'proofs.overdue'
        when array_position(array['pending', 'sealed', 'anchored', 'final'], c.after)
          > array_position(array['pending', 'sealed', 'anchored', 'final'], c.before) then 'proofs.' || c.after
        else 'proofs.regressed'
      end,
      c.at, case when f.first is not null then c.batch end, f.first, f.last, c.validation_id, c.webhook_id, c.before, c.after
    from fan f join grown g on g.account_id = f.account_id join changes c on c.id = f.id;
  update changes set told = true where id = any (v_ids);
  return cardinality(v_ids);
end
$$;
comment on function tell_changes is 'Appends noted changes to the logs of the accounts; answers how many it told.';

-- Notes, once for each account and batch, that the first of its proofs there should be anchored by now and is not. What was
-- accepted without a promise of its own is late when it was received before p_received.
create function note_overdue(p_received timestamptz, p_most bigint) returns bigint
language plpgsql volatile
as $$
declare
  v_count bigint;
begin
  insert into changes (kind, batch, account_id, first, last, before, after)
    select 'overdue', l.batch, l.account_id, l.first, l.last, l.status, l.status from (
      select a.batch, a.account_id, a.first, a.last, case b.state when 'closed' then 'pending' else 'sealed' end as status
        from batches b join batch_accounts a on a.batch = b.number
        where not b.anchored and b.state in ('closed', 'sealed')
          and (b.anchor_by_first < clock_timestamp() or b.opened_at < p_received)
      union all
      select b.number, n.account_id, n.closed + 1, n.last, 'pending'
        from batches b cross join account_numbers n
        where b.state = 'open' and n.last > n.closed
          and (b.anchor_by_first < clock_timestamp() or b.opened_at < p_received)
    ) l
    join proofs p on p.account_id = l.account_id and p.number = l.first
    where coalesce(p.anchor_by < clock_timestamp(), p.received_at < p_received, false)
      and not exists (
        select from changes c where c.kind = 'overdue' and c.batch = l.batch and c.account_id = l.account_id
      )
    order by l.batch, l.account_id
    limit p_most
    on conflict do nothing;
  get diagnostics v_count = row_count;
  return v_count;
end
$$;
comment on function note_overdue is 'Notes broken promises, once for each account and batch; answers how many.';

-- What happened until now is not told, but is what later changes are compared with.
insert into changes (kind, batch, before, after, told)
  select 'status', b.number, 'pending', s.status, true
  from batches b cross join lateral (
    select proof_status(b.state, b.anchors_needed, count(*) filter (where a.state in ('included', 'final')),
      count(*) filter (where a.state = 'final')) as status
    from anchors a where a.batch = b.number
  ) s
  where s.status <> 'pending'
  order by b.number;
