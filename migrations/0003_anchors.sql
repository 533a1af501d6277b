-- Where batches are anchored, by which transactions, and who does the work.

create table targets (
  id integer generated always as identity,
  chain_id bigint not null,
  registry bytea not null,
  first_number bigint not null,
  code_hash bytea not null,
  added_at timestamptz not null default now(),
  constraint targets_pkey primary key (id),
  constraint targets_registry_key unique (chain_id, registry),
  constraint targets_chain_id_positive check (chain_id > 0),
  constraint targets_registry_length check (octet_length(registry) = 20),
  constraint targets_first_number_positive check (first_number >= 1),
  constraint targets_code_hash_length check (octet_length(code_hash) = 32)
);
comment on table targets is 'Registries that batches are anchored in, pinned at first use.';
comment on column targets.chain_id is 'EIP-155 chain id.';
comment on column targets.registry is 'Address of the AnchorRegistry.';
comment on column targets.first_number is 'The registry''s first batch number; earlier batches are not anchored there.';
comment on column targets.code_hash is 'keccak256 of the code found there at first use: another chain or contract behind the same address is noticed.';

create table lanes (
  id integer generated always as identity,
  chain_id bigint not null,
  signer bytea not null,
  next_nonce bigint not null,
  constraint lanes_pkey primary key (id),
  constraint lanes_signer_key unique (chain_id, signer),
  constraint lanes_signer_length check (octet_length(signer) = 20),
  constraint lanes_next_nonce_natural check (next_nonce >= 0)
);
comment on table lanes is 'One row a signer and chain: the nonce the next transaction takes. The database owns the nonce; nodes are never asked for a pending one.';

create table anchors (
  batch bigint not null,
  target_id integer not null,
  state text not null,
  lane_id integer,
  nonce bigint,
  tx_hash bytea,
  tx_index bigint,
  block_number bigint,
  block_hash bytea,
  block_time bigint,
  evidence text,
  changed_at timestamptz not null default now(),
  constraint anchors_pkey primary key (batch, target_id),
  constraint anchors_batch_fkey foreign key (batch) references batches (number),
  constraint anchors_target_fkey foreign key (target_id) references targets (id),
  constraint anchors_lane_fkey foreign key (lane_id) references lanes (id),
  constraint anchors_nonce_key unique (lane_id, nonce),
  constraint anchors_state_known check (state in ('planned', 'sent', 'included', 'final')),
  constraint anchors_nonce_whole check ((lane_id is null) = (nonce is null)),
  constraint anchors_sent_has_nonce check (state <> 'sent' or nonce is not null),
  constraint anchors_block_whole check (
    (state in ('included', 'final') and octet_length(tx_hash) = 32 and tx_index >= 0 and block_number >= 0
      and octet_length(block_hash) = 32 and block_time >= 0)
    or (state in ('planned', 'sent') and tx_hash is null and tx_index is null and block_number is null
      and block_hash is null and block_time is null)
  ),
  constraint anchors_evidence_when_final check ((state = 'final') = (evidence is not null))
);
create index anchors_unfinished on anchors (target_id, batch) where state <> 'final';
comment on table anchors is 'A batch''s presence in a registry, one row a batch and target, made when the batch is sealed.';
comment on column anchors.state is 'planned: nothing signed. sent: signed bytes stored, then handed to a node. included: seen in a canonical block. final: that block is final and the evidence is stored. A reorg moves included back to sent.';
comment on column anchors.nonce is 'The nonce all attempts of this anchor share.';
comment on column anchors.tx_hash is 'The attempt that was included.';
comment on column anchors.evidence is 'Trie proofs up to the block header as they stand in a receipt (JSON), captured when the block was final.';

create table anchor_history (
  id bigint generated always as identity,
  batch bigint not null,
  target_id integer not null,
  state text not null,
  note text,
  at timestamptz not null default clock_timestamp(),
  constraint anchor_history_pkey primary key (id),
  constraint anchor_history_anchor_fkey foreign key (batch, target_id) references anchors (batch, target_id)
);
create index anchor_history_anchor on anchor_history (batch, target_id);
comment on table anchor_history is 'Every state an anchor ever had, written in the transaction that changed it. Append only.';

create table attempts (
  tx_hash bytea not null,
  batch bigint not null,
  target_id integer not null,
  max_fee bigint not null,
  max_priority_fee bigint not null,
  raw bytea not null,
  signed_at timestamptz not null default clock_timestamp(),
  sent_at timestamptz,
  constraint attempts_pkey primary key (tx_hash),
  constraint attempts_anchor_fkey foreign key (batch, target_id) references anchors (batch, target_id),
  constraint attempts_tx_hash_length check (octet_length(tx_hash) = 32),
  constraint attempts_fees_sane check (max_fee > 0 and max_priority_fee >= 0 and max_priority_fee <= max_fee)
);
create index attempts_anchor on attempts (batch, target_id);
comment on table attempts is 'Signed transactions, stored and committed before they are first sent. Sending again means sending these bytes again.';
comment on column attempts.max_fee is 'Fee cap, wei per gas.';
comment on column attempts.max_priority_fee is 'Tip cap, wei per gas.';
comment on column attempts.raw is 'The signed bytes as they go to eth_sendRawTransaction.';
comment on column attempts.sent_at is 'When a node last took these bytes; null when no answer ever said so (they may have arrived all the same).';

create table leases (
  name text not null,
  holder uuid not null,
  token bigint not null,
  expires_at timestamptz not null,
  constraint leases_pkey primary key (name)
);
comment on table leases is 'Who does a piece of work now. Time is the database''s. Every write done under a lease checks the token in the same transaction.';
comment on column leases.token is 'Grows with every change of holder, so that a holder that slept past its expiry is refused.';
