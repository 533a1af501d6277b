-- Called with every group of digests: without this, planned anew each time, which took longer than what it does.
alter function refuse_held(bigint[], bytea[]) set plan_cache_mode = force_generic_plan;
