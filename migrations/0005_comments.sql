-- A comment for every column that had none yet.

comment on column accounts.id is 'Names the account inside this deployment; stands in every proof of it.';
comment on column credentials.id is 'Names the credential inside this deployment.';
comment on column credentials.account_id is 'Whose credential it is.';
comment on column credentials.created_at is 'When it was made.';

comment on column batches.number is 'Counts batches from 1, without a hole; the number the registries know.';
comment on column batches.opened_at is 'Since when the batch takes, or took, proofs.';
comment on column batches.closed_at is 'Since when it takes no more; null while it is open.';
comment on column batches.sealed_at is 'When its tree was stored, to the second, as its header says.';
comment on column proofs.account_id is 'Whose proof it is.';
comment on column proof_details.account_id is 'Of the proof described.';
comment on column proof_details.digest is 'Of the proof described.';
comment on column tiles.batch is 'Whose tree it belongs to.';
comment on column tiles.level is 'Level L holds the nodes of layer 8 L; level 0 the leaves.';
comment on column tiles.hashes is '1 to 256 hashes of 32 bytes, one after the other.';

comment on column targets.id is 'Names the target inside this deployment.';
comment on column targets.added_at is 'When it was first used.';
comment on column lanes.id is 'Names the lane inside this deployment.';
comment on column lanes.chain_id is 'EIP-155 chain id.';
comment on column lanes.signer is 'Address of the key.';
comment on column lanes.next_nonce is 'The nonce the next new transaction takes; raised in the transaction that stores its bytes.';
comment on column anchors.batch is 'The batch.';
comment on column anchors.target_id is 'The registry it is, or is to be, in.';
comment on column anchors.lane_id is 'Whose nonce its attempts share; null before the first is signed.';
comment on column anchors.tx_index is 'Position of that transaction in its block.';
comment on column anchors.block_number is 'Height of the block.';
comment on column anchors.block_hash is 'Hash of the block: what tells whether it is still canonical.';
comment on column anchors.block_time is 'The block''s time, seconds since 1970.';
comment on column anchors.changed_at is 'When the state was last written.';
comment on column anchor_history.id is 'Orders the rows.';
comment on column anchor_history.batch is 'Of the anchor.';
comment on column anchor_history.target_id is 'Of the anchor.';
comment on column anchor_history.state is 'The state it came to.';
comment on column anchor_history.note is 'Block, transaction or reason, for people.';
comment on column anchor_history.at is 'When.';
comment on column attempts.tx_hash is 'Hash of the transaction: keccak256 of raw.';
comment on column attempts.batch is 'Of the anchor it is to make.';
comment on column attempts.target_id is 'Of the anchor it is to make.';
comment on column attempts.signed_at is 'When it was stored, right after signing.';
comment on column leases.name is 'The piece of work: seal, or anchor with chain and registry.';
comment on column leases.holder is 'The instance that holds it, a number drawn at its start.';
comment on column leases.expires_at is 'When another instance may take it, by this database''s clock.';
comment on column finality.target_id is 'Whose chain it is.';
