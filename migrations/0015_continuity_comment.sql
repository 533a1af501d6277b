comment on column continuity.target_id is 'Whose registry.';
