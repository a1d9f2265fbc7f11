-- Who has written to whom before, for greylisting: shared, because a client's second try may reach another process. Unused while greylisting is off.
create table greylist (
    triple   text primary key,                     -- network, reverse-path and recipient, under a key of ours: addresses stand in one table only
    first_at timestamptz not null,
    last_at  timestamptz not null
);
create index on greylist (last_at);

-- Letters whose origin nothing proves, while they wait: counted before another is taken.
create index inbox_unproven on inbox (writer_id) where admission = 'hold' and state in ('pending', 'held');
