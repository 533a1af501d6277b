-- Finding proofs again, erasing what is said about them, and answers that are kept to be repeated.

create table proof_labels (
  account_id bigint not null,
  label text not null,
  number bigint not null,
  constraint proof_labels_pkey primary key (account_id, label, number)
);
comment on table proof_labels is 'By which labels an account''s proofs are found, in the order of their numbers. Written from proof_details, erased with it.';
comment on column proof_labels.account_id is 'Whose proof.';
comment on column proof_labels.label is 'One of its labels.';
comment on column proof_labels.number is 'The proof''s number.';

-- In the transaction of the details, so that no way in can leave it out. Details without labels cost a look at what was
-- inserted. The join must use the primary key whatever the table's size was when the plan was made.
create function keep_labels() returns trigger
language plpgsql volatile
set enable_hashjoin = off set enable_mergejoin = off
as $$
begin
  insert into proof_labels (account_id, label, number)
    select distinct f.account_id, l.label, p.number
    from fresh f cross join lateral unnest(f.labels) as l (label)
      join proofs p on p.account_id = f.account_id and p.digest = f.digest
    where f.labels is not null
    order by 1, 2, 3;
  return null;
end
$$;
comment on function keep_labels is 'Keeps the labels of new details where they are found.';
create trigger proof_details_labelled after insert on proof_details referencing new table as fresh
  for each statement execute function keep_labels();
insert into proof_labels (account_id, label, number)
  select distinct d.account_id, l.label, p.number
  from proof_details d cross join lateral unnest(d.labels) as l (label)
    join proofs p on p.account_id = d.account_id and p.digest = d.digest;

-- The first number of an account whose proof was not received before the moment; one behind the last when there is none.
-- Times ascend with the numbers unless the server's clock was set back: whoever asks leaves room for that.
create function number_at(p_account bigint, p_moment timestamptz) returns bigint
language plpgsql stable
as $$
declare
  v_low bigint := 1;
  v_high bigint := 1 + coalesce((select c.last from account_numbers c where c.account_id = p_account), 0);
  v_middle bigint;
  v_at timestamptz;
begin
  while v_low < v_high loop
    v_middle := (v_low + v_high) / 2;
    select p.received_at into v_at from proofs p where p.account_id = p_account and p.number = v_middle;
    if v_at < p_moment then
      v_low := v_middle + 1;
    else
      v_high := v_middle;
    end if;
  end loop;
  return v_low;
end
$$;
comment on function number_at is 'Where in the numbers of an account a moment is.';

create table erasures (
  account_id bigint not null,
  number bigint not null,
  digest bytea not null,
  leaf bytea not null,
  erased_at timestamptz not null default clock_timestamp(),
  erased_by text not null,
  constraint erasures_pkey primary key (account_id, number),
  constraint erasures_digest_length check (octet_length(digest) = 32),
  constraint erasures_leaf_length check (octet_length(leaf) = 32)
);
create index erasures_digest on erasures (account_id, digest);
create index erasures_leaf on erasures (account_id, leaf);
comment on table erasures is 'Proofs whose salt and details were erased. In proofs the leaf stands in the digest''s place, so tree and audit stay whole; never taken back.';
comment on column erasures.account_id is 'Whose proof it was.';
comment on column erasures.number is 'Its number: the row in proofs is still there.';
comment on column erasures.digest is 'What was submitted: whoever asks for it is told that it was erased.';
comment on column erasures.leaf is 'The hash of its leaf in the tree; without the salt nobody can compute it from a document.';
comment on column erasures.erased_at is 'When.';
comment on column erasures.erased_by is 'Consumer key of the credential that asked for it.';

alter table proofs alter column salt drop not null;
create index proofs_erased on proofs (account_id, number) where salt is null;
comment on column proofs.digest is 'SHA-256 of the document, as submitted; of an erased proof the hash of its leaf.';
comment on column proofs.salt is '16 random bytes drawn at acceptance; entry = digest || salt. Hides the digest from neighbours in the tree. Null: erased.';

create table idempotency_keys (
  account_id bigint not null,
  key text not null,
  fingerprint bytea not null,
  begun_at timestamptz not null default clock_timestamp(),
  claimed_until timestamptz not null,
  seed bytea,
  status smallint,
  body bytea,
  constraint idempotency_keys_pkey primary key (account_id, key),
  constraint idempotency_keys_key_length check (length(key) between 1 and 255),
  constraint idempotency_keys_fingerprint_length check (octet_length(fingerprint) = 32),
  constraint idempotency_keys_seed_length check (octet_length(seed) = 32),
  constraint idempotency_keys_whole check (
    (seed is not null and status is null and body is null) or (seed is null and status is not null and body is not null)
  )
);
create index idempotency_keys_begun on idempotency_keys (begun_at);
comment on table idempotency_keys is 'Answers that are given again to whoever repeats a request with its Idempotency-Key. Rows go after a day.';
comment on column idempotency_keys.account_id is 'Who asked.';
comment on column idempotency_keys.key is 'The key it gave.';
comment on column idempotency_keys.fingerprint is 'SHA-256 over the request: another one with the same key is refused.';
comment on column idempotency_keys.begun_at is 'When the key was first used.';
comment on column idempotency_keys.claimed_until is 'Until when whoever began is left alone; after that a repetition does the work again.';
comment on column idempotency_keys.seed is 'Of the salts that are drawn for the request: drawn again after a crash they are the same, so the answer is too. Gone with the answer.';
comment on column idempotency_keys.status is 'HTTP status of the answer.';
comment on column idempotency_keys.body is 'Body of the answer.';

-- Erases what is said about a proof, its salt, and every other place that tells them. One call, one transaction.
--
-- Only where nothing remains to be done with the entry: the batch is final in as many targets as it needs, and no anchor of
-- it is on its way. The lock on account_numbers comes first, as in accept_proofs: a submission of the same digest comes before
-- or after, and finds the proof or makes a new one. Other rows that name the proof go before it, since they point at it.
create function erase_proof(p_account bigint, p_digest bytea, p_by text) returns text
language plpgsql volatile
as $$
declare
  v_proof proofs;
  v_leaf bytea;
begin
  perform from account_numbers c where c.account_id = p_account for no key update;
  select * into v_proof from proofs p
    where p.account_id = p_account and p.digest = p_digest and p.salt is not null for update;
  if not found then
    return 'unknown';
  end if;
  if exists (select from decisions d where d.digest = p_digest) then
    return 'decision';
  end if;
  if not exists (
    select from batches b
    where b.number = v_proof.batch and b.state = 'sealed'
      and (select count(*) from anchors a where a.batch = b.number and a.state = 'final') >= b.anchors_needed
  ) or exists (select from anchors a where a.batch = v_proof.batch and a.state in ('planned', 'sent', 'included')) then
    return 'early';
  end if;
  v_leaf := sha256('\x00'::bytea || v_proof.digest || v_proof.salt);
  delete from proof_labels l
    using proof_details d, unnest(d.labels) as u (label)
    where d.account_id = p_account and d.digest = p_digest
      and l.account_id = p_account and l.label = u.label and l.number = v_proof.number;
  delete from proof_details d where d.account_id = p_account and d.digest = p_digest;
  delete from declared_dates d where d.account_id = p_account and d.digest = p_digest;
  delete from certificate_links c where c.account_id = p_account and c.digest = p_digest;
  delete from doubled_digests d where d.account_id = p_account and d.doubled = doubled_digest(p_digest);
  update validations w set details = null, salt = decode(repeat('00', 16), 'hex'), digest = v_leaf
    where w.account_id = p_account and w.digest = p_digest;
  -- Answers that tell the salt, and seeds it could be drawn from again.
  delete from idempotency_keys k
    where k.account_id = p_account
      and (position(convert_to(encode(p_digest, 'hex'), 'UTF8') in k.body) > 0
        or (k.seed is not null and k.claimed_until < clock_timestamp()));
  insert into erasures (account_id, number, digest, leaf, erased_by)
    values (p_account, v_proof.number, p_digest, v_leaf, p_by);
  update proofs p set digest = v_leaf, salt = null where p.account_id = p_account and p.digest = p_digest;
  return 'erased';
end
$$;
comment on function erase_proof is 'Erases salt and details of a final proof; its leaf stays. Answers erased, unknown, early or decision.';
