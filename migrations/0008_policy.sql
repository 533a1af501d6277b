-- When a proof counts as anchored, targets that come to their end, and which batches still wait.

create table anchor_policy (
  from_batch bigint not null,
  needed integer not null,
  decided_at timestamptz not null default clock_timestamp(),
  id bigint generated always as identity,
  constraint anchor_policy_pkey primary key (id),
  constraint anchor_policy_needed_positive check (needed >= 1),
  constraint anchor_policy_from_batch_positive check (from_batch >= 1)
);
comment on table anchor_policy is 'In how many targets a batch must stand until its proofs count as anchored, or final. The newest row decides when a batch is sealed. Append only.';
comment on column anchor_policy.from_batch is 'The first batch sealed under it.';
comment on column anchor_policy.needed is 'Targets needed.';
comment on column anchor_policy.decided_at is 'When the operator decided it.';
comment on column anchor_policy.id is 'Orders the rows.';
insert into anchor_policy (from_batch, needed) values (1, 1);

alter table targets
  add column retired_at timestamptz,
  add column retired_after bigint,
  add constraint targets_retired_whole check ((retired_at is null) = (retired_after is null)),
  add constraint targets_retired_after_natural check (retired_after >= 0);
comment on column targets.retired_at is 'When the operator retired it; null while it gets anchors.';
comment on column targets.retired_after is 'The newest batch that was sealed then: no later one has an anchor here. 0: none.';

alter table anchors
  drop constraint anchors_state_known,
  add constraint anchors_state_known check (state in ('planned', 'sent', 'included', 'final', 'withdrawn')),
  drop constraint anchors_block_whole,
  add constraint anchors_block_whole check (
    (state in ('included', 'final') and octet_length(tx_hash) = 32 and tx_index >= 0 and block_number >= 0
      and octet_length(block_hash) = 32 and block_time >= 0)
    or (state in ('planned', 'sent', 'withdrawn') and tx_hash is null and tx_index is null and block_number is null
      and block_hash is null and block_time is null)
  );
comment on column anchors.state is 'planned: nothing signed. sent: signed bytes stored, then handed to a node. included: seen in a canonical block. final: that block is final and the evidence is stored. A reorg moves included back to sent. withdrawn: its target was retired, nobody works on it.';

alter table batches
  add column anchors_needed integer not null default 1,
  add column anchored boolean not null default false,
  add constraint batches_anchors_needed_positive check (anchors_needed >= 1);
comment on column batches.anchors_needed is 'In how many targets it must stand: as anchor_policy said when it was sealed; lowered only when anchors were withdrawn and fewer are left.';
comment on column batches.anchored is 'Whether it stands in a block in that many targets. Kept by triggers on anchors, so that what waits is found without reading history.';
create index batches_unanchored on batches (number) where not anchored;

-- The row lock comes first: of two anchors of one batch that change at once, the second counts after the first is committed.
create function note_batch_anchored() returns trigger
language plpgsql volatile
as $$
declare
  v_batch bigint := case when tg_op = 'DELETE' then old.batch else new.batch end;
  v_standing bigint;
begin
  perform 1 from batches where number = v_batch for no key update;
  select count(*) into v_standing from anchors where batch = v_batch and state in ('included', 'final');
  update batches set anchored = v_standing >= anchors_needed
    where number = v_batch and anchored <> (v_standing >= anchors_needed);
  return null;
end
$$;
comment on function note_batch_anchored is 'Keeps batches.anchored.';
create trigger anchors_made after insert on anchors for each row
  when (new.state in ('included', 'final')) execute function note_batch_anchored();
create trigger anchors_moved after update on anchors for each row
  when ((old.state in ('included', 'final')) <> (new.state in ('included', 'final'))) execute function note_batch_anchored();
create trigger anchors_gone after delete on anchors for each row
  when (old.state in ('included', 'final')) execute function note_batch_anchored();

update batches set anchored = true
  where exists (select from anchors where anchors.batch = batches.number and anchors.state in ('included', 'final'));
