-- Rounds, applications, and the pairs that come of them.

create table round (
    id           uuid primary key,
    name         text not null unique,
    opens_on     date not null,
    closes_on    date not null,
    match_on     date not null,
    introduce_on date not null,
    ends_on      date not null,
    capacity     integer check (capacity > 0),     -- people; null: no limit
    self_approve boolean not null default false,   -- the calendar approves on the day of introductions when nobody did
    state        text not null default 'planned' check (state in ('planned', 'open', 'closed', 'proposed', 'approved', 'running', 'ended')),
    seed         bigint not null,                  -- of the tie-break in matching
    version      integer not null default 0,       -- raised by whatever changes who is to be matched: a proposal made on an older one is not written
    proposal     jsonb,                            -- the objective of the last match
    created_at   timestamptz not null,
    check (opens_on <= closes_on and closes_on <= match_on and match_on <= introduce_on and introduce_on < ends_on)
);

create table application (
    id           uuid primary key,
    person_id    uuid not null references person,
    round_id     uuid references round,            -- null: waits for the next round
    answers      jsonb not null,
    state        text not null default 'draft' check (state in ('draft', 'confirmed', 'withdrawn', 'done')),
    confirmed_at timestamptz,
    left_over    smallint not null default 0,      -- rounds that had no partner for them: those people come first in the next one
    created_at   timestamptz not null,
    updated_at   timestamptz not null
);
create index on application (round_id);
-- One application of a person is alive at a time.
create unique index one_live_application on application (person_id) where state in ('draft', 'confirmed');

create table partnership (
    id            uuid primary key,
    round_id      uuid not null references round,
    state         text not null default 'proposed' check (state in ('proposed', 'introduced', 'ended')),
    score         bigint not null,
    introduced_at timestamptz,
    ended_at      timestamptz,
    created_at    timestamptz not null
);
create index on partnership (round_id);

create table partner (
    partnership_id uuid not null references partnership on delete cascade,
    person_id      uuid not null references person,
    alias          text not null unique,           -- the local part under which the other writes to this person
    side           jsonb not null,                 -- what they asked for, what was met, what was not, why this match
    primary key (partnership_id, person_id)
);
create index on partner (person_id);

create table unmatched (
    round_id  uuid not null references round,
    person_id uuid not null references person,
    why       text not null,
    primary key (round_id, person_id)
);
create index on unmatched (person_id);

-- Message-IDs of a partner's letters never pass; this keeps threads whole both ways.
create table relayed (
    partnership_id uuid not null references partnership on delete cascade,
    original_id    text not null,                  -- in the writer's mailbox
    relayed_id     text not null,                  -- in the reader's
    primary key (partnership_id, original_id),
    unique (partnership_id, relayed_id)
);
