-- Who may submit, and how they prove who they are.

create table accounts (
  id bigint generated always as identity,
  name text not null,
  role text not null,
  created_at timestamptz not null default now(),
  disabled_at timestamptz,
  constraint accounts_pkey primary key (id),
  constraint accounts_name_key unique (name),
  constraint accounts_name_length check (length(name) between 1 and 100),
  constraint accounts_role_known check (role in ('partner', 'client', 'manager', 'validator'))
);
comment on table accounts is 'Owners of proofs. Rows are disabled, never deleted: proofs point here without a foreign key.';
comment on column accounts.name is 'Unique name chosen by the operator; shown to people, part of no proof.';
comment on column accounts.role is 'What the account may do: partner, client, manager, validator.';
comment on column accounts.created_at is 'When the account was made.';
comment on column accounts.disabled_at is 'Since when no new token is given to this account; null while it is active.';

create table credentials (
  id bigint generated always as identity,
  account_id bigint not null,
  consumer_key text not null,
  secret_hash bytea not null,
  created_at timestamptz not null default now(),
  revoked_at timestamptz,
  constraint credentials_pkey primary key (id),
  constraint credentials_account_fkey foreign key (account_id) references accounts (id),
  constraint credentials_consumer_key_key unique (consumer_key),
  constraint credentials_secret_hash_length check (octet_length(secret_hash) = 32)
);
create index credentials_account on credentials (account_id);
comment on table credentials is 'Consumer keys and the keyed hashes of their secrets. An account may hold several, so that secrets rotate without a gap.';
comment on column credentials.consumer_key is 'Public half, sent in clear as client_id.';
comment on column credentials.secret_hash is 'HMAC-SHA-256 of the secret under a key kept outside the database. The secret itself is shown once and stored nowhere.';
comment on column credentials.revoked_at is 'Since when the credential is refused; null while it is valid.';
