-- People and their mailboxes. Everything else points here; erasing a person empties these rows and keeps the record countable.

create table person (
    id           uuid primary key,                -- UUID v7: ordered by birth, so that sendings can walk it with a cursor
    name         text,                            -- the name they chose to show; null until they told one
    language     text not null default 'en',      -- BCP 47
    paused_at    timestamptz,                     -- not null: left out of matching and topics
    paused_until date,                            -- null while paused: until they say "resume"
    left_at      timestamptz,                     -- they left the programme; joining again empties it
    erased_at    timestamptz,
    created_at   timestamptz not null
);

create table address (
    id            uuid primary key,
    person_id     uuid references person,          -- null: somebody we only exchanged a letter with
    email         text,                            -- as written; null once erased
    email_key     text unique,                     -- lower case, what is compared; null once erased
    is_primary    boolean not null default false,  -- where our letters to the person go
    proven_at     timestamptz,                     -- a token of ours came back from it
    suppressed_at timestamptz,                     -- it bounced for good: nothing goes there any more
    created_at    timestamptz not null
);
create index on address (person_id);
create unique index one_primary_address on address (person_id) where is_primary;

-- What came back proves nothing but itself: what a token may do stands here, not in the token.
create table token (
    token      text primary key,
    purpose    text not null check (purpose in ('sign-up', 'vouch', 'subscribe', 'service')),
    address_id uuid not null references address,
    subject_id uuid,                               -- the row it is about, as the purpose says
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_at    timestamptz
);
create index on token (address_id);
