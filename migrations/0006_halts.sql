-- What waits for an operator, so that every instance can tell.

create table halts (
  step text not null,
  why text not null,
  since timestamptz not null default clock_timestamp(),
  constraint halts_pkey primary key (step)
);
comment on table halts is 'Steps of the pipeline that halted and have not gone on since. Written and removed by the instance that does the step.';
comment on column halts.step is 'The step: seal, or anchor with chain and registry.';
comment on column halts.why is 'What must be looked at, in words.';
comment on column halts.since is 'When it was first seen.';
