-- The record, and the two queues. Words (`raw`) are kept only as long as delivery and the configured days need them; an exchange row is for ever.

-- One row for every letter in or out, and for every letter refused after it was read.
create table exchange (
    id         uuid primary key,
    at         timestamptz not null,
    direction  text not null check (direction in ('in', 'out')),
    address_id uuid references address,            -- the other side; null for the null reverse-path and unreadable writers
    mailbox    text not null,                      -- ours: the local part it came to, or went out as
    kind       text not null,                      -- why: sign-up, relay, introduction, topic …
    size       integer not null,                   -- octets
    message_id text,
    cause_id   uuid references exchange,           -- the letter that caused this one
    decision   text,                               -- in: how it was admitted and routed
    outcome    text,                               -- what became of it: handled, held, refused, sent, bounced, failed …
    reply      text,                               -- out: the next hop's last words; in: ours, when we refused
    ended_at   timestamptz
);
create index on exchange (address_id);
create index on exchange (cause_id);
create index on exchange (message_id);
create index on exchange (at);

-- The bytes of a letter, once, however many of our mailboxes it named.
create table letter (
    id          uuid primary key,
    sha256      bytea not null,
    raw         bytea,
    size        integer not null,
    received_at timestamptz not null
);

create table inbox (
    id           uuid primary key,
    letter_id    uuid not null references letter,
    exchange_id  uuid not null unique references exchange,
    recipient    jsonb not null,                   -- whose mailbox it was when it came: the row found at RCPT
    writer_id    uuid references address,          -- the header From
    reverse_path text,                             -- null: the null reverse-path; emptied with the words
    peer         text not null,                    -- the client's address and name; emptied with the words
    helo         text not null,
    verdict      jsonb not null,
    admission    text not null check (admission in ('take', 'hold')),
    state        text not null default 'pending' check (state in ('pending', 'done', 'held', 'failed')),
    attempts     smallint not null default 0,
    next_at      timestamptz not null,
    deaths       smallint not null default 0,      -- processes that ended while they worked on it
    owner        bigint,                           -- the advisory lock of the process that works on it
    last_error   text,
    -- The same letter is the same reverse-path, recipient and bytes, with a Message-ID, within five days: null outside of that.
    fingerprint  bytea unique,
    received_at  timestamptz not null
);
create index on inbox (letter_id);
create index inbox_due on inbox (next_at, id) where state = 'pending';
create index inbox_by_writer on inbox (writer_id, id) where state in ('pending', 'held');
create index inbox_owned on inbox (owner) where owner is not null;

-- One sending to many: a cursor, so that it goes on where it stopped.
create table sending (
    id          uuid primary key,
    kind        text not null,
    subject_id  uuid not null,                     -- the topic
    after_id    uuid,                              -- the last person enqueued; null at the start
    enqueued    integer not null default 0,
    created_at  timestamptz not null,
    finished_at timestamptz,
    unique (kind, subject_id)
);

create table outbox (
    id           uuid primary key,
    exchange_id  uuid not null unique references exchange,
    address_id   uuid not null references address,
    domain       text not null,                    -- the recipient's, for the limit per domain
    kind         text not null,
    priority     smallint not null,                -- 0 partners' letters, 1 answers, 2 introductions, 3 topics
    occasion     text unique,                      -- kind, person, occasion: nobody is written to twice about the same
    sending_id   uuid references sending,
    reverse_path text not null,                    -- empty: the null reverse-path
    raw          bytea,                            -- unsigned; the exit signs
    size         integer not null,
    state        text not null default 'queued' check (state in ('queued', 'sent', 'held', 'failed', 'dropped')),
    attempts     smallint not null default 0,
    next_at      timestamptz not null,
    expires_at   timestamptz not null,
    owner        bigint,
    created_at   timestamptz not null,
    sent_at      timestamptz,
    released_at  timestamptz                       -- somebody looked at it and let it go: review does not hold it again
);
create index outbox_due on outbox (priority, next_at, id) where state = 'queued';
create index outbox_owned on outbox (owner) where owner is not null;
create index on outbox (address_id);
create index on outbox (sending_id);
create index outbox_recent on outbox (kind, created_at);

-- Whose words are still kept: looked at every minute, so never the whole table.
create index outbox_words on outbox (state) where raw is not null;
create index letter_words on letter (received_at) where raw is not null;
create index inbox_words on inbox (received_at) where state = 'done' and peer <> '';

-- One row: what an operator may switch for all processes at once; and DKIM keys, sealed by the master secret.
create table installation (
    only_row boolean primary key default true check (only_row),
    hold_all boolean not null default false
);
insert into installation default values;

create table dkim_key (
    domain     text not null,
    selector   text not null,
    sealed     bytea not null,
    public_key text not null,                      -- base 64, as it stands in the record
    created_at timestamptz not null,
    primary key (domain, selector)
);
