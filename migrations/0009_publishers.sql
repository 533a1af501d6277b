-- Publishers: what they have and spend, and nonces of theirs that no anchor has.

create table funds (
  chain_id bigint not null,
  signer bytea not null,
  balance numeric(39, 0) not null,
  seen_at timestamptz not null default clock_timestamp(),
  constraint funds_pkey primary key (chain_id, signer),
  constraint funds_signer_length check (octet_length(signer) = 20),
  constraint funds_balance_natural check (balance >= 0)
);
comment on table funds is 'What the account of each publisher had when it was last asked for, on each chain. For telling; what is signed is decided by asking the chain.';
comment on column funds.chain_id is 'EIP-155 chain id.';
comment on column funds.signer is 'Address of the publisher''s key.';
comment on column funds.balance is 'Its balance, wei.';
comment on column funds.seen_at is 'When it was asked for.';

alter table anchors add column paid numeric(39, 0), add constraint anchors_paid_natural check (paid >= 0);
comment on column anchors.paid is 'What the transaction cost, wei, noted when its block was final; null where the node did not tell.';
create index anchors_spent on anchors (lane_id, block_time desc) where paid is not null;

alter table attempts
  add column retired_lane integer,
  add column retired_nonce bigint,
  add constraint attempts_retired_lane_fkey foreign key (retired_lane) references lanes (id),
  add constraint attempts_retired_whole check ((retired_lane is null) = (retired_nonce is null));
comment on column attempts.retired_lane is 'Set when it was given up, because its signer is no longer the publisher: whose nonce it has. It is kept, and never sent again.';
comment on column attempts.retired_nonce is 'That nonce.';

create table calls (
  lane_id integer not null,
  nonce bigint not null,
  tx_hash bytea not null,
  raw bytea not null,
  purpose text not null,
  signed_at timestamptz not null default clock_timestamp(),
  constraint calls_pkey primary key (lane_id, nonce),
  constraint calls_lane_fkey foreign key (lane_id) references lanes (id),
  constraint calls_nonce_natural check (nonce >= 0),
  constraint calls_tx_hash_length check (octet_length(tx_hash) = 32)
);
comment on table calls is 'Transactions of a publisher that anchor nothing: an operator''s commands. They take their nonce like an anchor does, in the transaction that stores their bytes, before they are sent.';
comment on column calls.lane_id is 'Whose nonce it has.';
comment on column calls.nonce is 'The nonce.';
comment on column calls.tx_hash is 'Hash of the transaction: keccak256 of raw.';
comment on column calls.raw is 'The signed bytes.';
comment on column calls.purpose is 'What it does, in words.';
comment on column calls.signed_at is 'When it was stored.';
