-- The KageSecur dialect: who speaks it, by what its digests are found, and what it hands out.

alter table accounts add column subscribed_until timestamptz;
comment on column accounts.subscribed_until is 'Until when the account may submit; null: without end. Reading and verifying go on after it.';

create table account_clients (
  manager_id bigint not null,
  client_id bigint not null,
  since timestamptz not null default now(),
  constraint account_clients_pkey primary key (manager_id, client_id),
  constraint account_clients_manager_fkey foreign key (manager_id) references accounts (id),
  constraint account_clients_client_fkey foreign key (client_id) references accounts (id),
  constraint account_clients_not_itself check (manager_id <> client_id)
);
comment on table account_clients is 'For whom a manager may submit and ask.';
comment on column account_clients.manager_id is 'The manager.';
comment on column account_clients.client_id is 'Its client.';
comment on column account_clients.since is 'When the operator said so.';

create table identities (
  account_id bigint not null,
  identifiant text not null,
  empreinte_hash bytea not null,
  changed_at timestamptz not null default now(),
  indexed_at timestamptz,
  constraint identities_pkey primary key (account_id),
  constraint identities_account_fkey foreign key (account_id) references accounts (id),
  constraint identities_empreinte_key unique (empreinte_hash),
  constraint identities_identifiant_length check (length(identifiant) between 1 and 255),
  constraint identities_empreinte_hash_length check (octet_length(empreinte_hash) = 32)
);
comment on table identities is 'Accounts that speak the KageSecur dialect, one row an account. From the commit of its row on, accept_proofs keeps the doubled digests of the account.';
comment on column identities.account_id is 'Whose identity it is.';
comment on column identities.identifiant is 'The name the dialect shows; half of what the empreinte is made of.';
comment on column identities.empreinte_hash is 'HMAC-SHA-256 of the empreinte, SHA-256(identifiant || clef), under the key of consumer secrets and a domain of its own. The empreinte is a password: it is stored nowhere.';
comment on column identities.changed_at is 'When identifiant and empreinte were last set.';
comment on column identities.indexed_at is 'Since when every proof of the account has its doubled digest; null while those accepted before are brought in: until then nobody logs in.';

-- What a document is asked for in the dialect: SHA-256 of the 64 lower-case digits of its digest.
create function doubled_digest(digest bytea) returns bytea
language sql immutable strict parallel safe
as $$ select sha256(encode(digest, 'hex')::bytea) $$;
comment on function doubled_digest is 'SHA-256 of the ASCII of a digest''s lower-case hex: what the KageSecur dialect asks for.';

create table doubled_digests (
  doubled bytea not null,
  account_id bigint not null,
  visible boolean not null,
  digest bytea not null,
  constraint doubled_digests_pkey primary key (doubled, account_id),
  constraint doubled_digests_doubled_length check (octet_length(doubled) = 32),
  constraint doubled_digests_digest_length check (octet_length(digest) = 32)
);
comment on table doubled_digests is 'By what the proofs of accounts with an identity are found in the KageSecur dialect. Written by accept_proofs, and once for proofs accepted before the account had an identity. No foreign keys, as with proofs.';
comment on column doubled_digests.doubled is 'SHA-256 of the ASCII of the digest''s lower-case hex.';
comment on column doubled_digests.account_id is 'Whose proof it is.';
comment on column doubled_digests.visible is 'Whether others who ask are told that the document belongs to somebody else; otherwise they are told that it is not registered.';
comment on column doubled_digests.digest is 'The digest of the proof.';

create table certificate_links (
  auth_hash bytea not null,
  account_id bigint not null,
  digest bytea not null,
  expires_at timestamptz not null,
  constraint certificate_links_pkey primary key (auth_hash),
  constraint certificate_links_auth_hash_length check (octet_length(auth_hash) = 32),
  constraint certificate_links_proof_fkey foreign key (account_id, digest) references proofs (account_id, digest)
);
create index certificate_links_expires on certificate_links (expires_at);
comment on table certificate_links is 'What the `auth` of an answer opens, for a time. Expired rows are removed by and by.';
comment on column certificate_links.auth_hash is 'HMAC-SHA-256 of auth under the key of consumer secrets and a domain of its own: a copy of the table opens nothing.';
comment on column certificate_links.account_id is 'Of the proof it opens.';
comment on column certificate_links.digest is 'Of the proof it opens.';
comment on column certificate_links.expires_at is 'Until when it opens it.';

-- Accepts digests. One call, one transaction, one commit: when it returns, every row it names is durable.
--
-- The shared lock is what makes a batch complete: whoever closes a batch takes the same lock exclusively, so it waits for
-- the calls in flight, and calls that come later see the next batch. Locks are let go after the commit is visible.
-- Statements of a volatile function see the latest commits each, so the batch read after the lock is the open one.
-- A caller that lost the answer calls again with the same salts and is answered as the first time.
-- Rows go in in key order so that two calls with the same digests cannot deadlock.
-- The joins below must use the primary key whatever the table's size was when the plan was made.
--
-- An identity is made under the same lock taken exclusively, so a call either sees it and keeps the doubled digests of
-- its proofs, or has committed before whoever made the identity brings in what was accepted until then. A call without
-- proofs of such accounts pays one look into a small table.
create or replace function accept_proofs(p_accounts bigint[], p_digests bytea[], p_salts bytea[], p_details jsonb[])
returns table (ord bigint, salt bytea, batch bigint, received_at timestamptz, fresh boolean)
language plpgsql volatile
set enable_hashjoin = off set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  v_batch bigint;
  v_now timestamptz;
  v_inserted bigint;
begin
  perform pg_advisory_xact_lock_shared(x'5ceab001'::bigint);
  select b.number into strict v_batch from batches b where b.state = 'open';
  v_now := clock_timestamp();
  insert into proofs (account_id, digest, salt, batch, received_at)
    select i.account_id, i.digest, i.salt, v_batch, v_now
    from unnest(p_accounts, p_digests, p_salts) as i (account_id, digest, salt)
    order by i.account_id, i.digest
    on conflict on constraint proofs_pkey do nothing;
  get diagnostics v_inserted = row_count;
  if p_details is not null then
    insert into proof_details (account_id, digest, file_name, reference, labels, metadata)
      select i.account_id, i.digest, i.detail ->> 'file_name', i.detail ->> 'reference',
        case when i.detail ? 'labels' then array(select jsonb_array_elements_text(i.detail -> 'labels')) end,
        i.detail -> 'metadata'
      from unnest(p_accounts, p_digests, p_salts, p_details) as i (account_id, digest, salt, detail)
      join proofs p on p.account_id = i.account_id and p.digest = i.digest and p.salt = i.salt
      where i.detail is not null
      on conflict on constraint proof_details_pkey do nothing;
  end if;
  if exists (select from identities d where d.account_id = any (p_accounts)) then
    insert into doubled_digests (doubled, account_id, visible, digest)
      select doubled_digest(i.digest), i.account_id, coalesce((i.detail -> 'visible')::boolean, false), i.digest
      from unnest(p_accounts, p_digests, p_salts, p_details) as i (account_id, digest, salt, detail)
      join identities d on d.account_id = i.account_id
      join proofs p on p.account_id = i.account_id and p.digest = i.digest and p.salt = i.salt
      order by 1, 2
      on conflict on constraint doubled_digests_pkey do nothing;
  end if;
  if v_inserted = cardinality(p_accounts) then
    return query
      select i.ord, i.salt, v_batch, v_now, true
      from unnest(p_salts) with ordinality as i (salt, ord);
  else
    return query
      select i.ord, p.salt, p.batch, p.received_at, p.salt = i.salt
      from unnest(p_accounts, p_digests, p_salts) with ordinality as i (account_id, digest, salt, ord)
      join proofs p on p.account_id = i.account_id and p.digest = i.digest;
  end if;
end
$$;
