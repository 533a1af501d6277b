-- Endpoints that are not used at present, so that operators see them before the last one is gone.

create table asides (
  step text not null,
  endpoint integer not null,
  kind text not null,
  why text not null,
  since timestamptz not null default clock_timestamp(),
  constraint asides_pkey primary key (step, endpoint),
  constraint asides_endpoint_natural check (endpoint >= 1)
);
comment on table asides is 'Endpoints of a target that were set aside and are not used since. Written and removed by the instance that does the step, at each look.';
comment on column asides.step is 'The step that asks them: anchor with chain and registry.';
comment on column asides.endpoint is 'Place of the endpoint in the settings, from 1.';
comment on column asides.kind is 'The reason in one word or two; while it stays the same, so does since.';
comment on column asides.why is 'The reason, in words. Holds no address.';
comment on column asides.since is 'When it was first seen.';
