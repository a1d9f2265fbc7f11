-- Letters out in streams, a breaker for each that could run away, and partners' letters first on the way in.
-- Processes of the version before go on beside this schema: each new column has a default that is right, or harmless, for what they write.

-- What is long sent is asked for no more, so only what waits is sorted; its kind tells.
alter table outbox add column stream text not null default 'answers'
    check (stream in ('relay', 'answers', 'introductions', 'reminders', 'topics', 'notices', 'alarms'));
update outbox set stream = case
        when kind = 'relay' then 'relay'
        when kind in ('introduction', 'left_over') then 'introductions'
        when kind = 'topic' then 'topics'
        when priority >= 2 and kind not in ('was_it_you', 'for_operator') then 'notices'
        else 'answers' end
    where state in ('queued', 'held');
comment on column outbox.priority is '-1 alarms, 0 partners'' letters, 1 answers, 2 introductions, reminders and notices, 3 topics';

-- Every letter has an occasion: nobody is written to twice about the same, whatever runs twice.
update outbox set occasion = 'row:' || id where occasion is null;
alter table outbox alter column occasion set not null;

-- Held because its stream ran away; released or dropped by stream. The index is empty on every good day.
alter table outbox add column by_breaker boolean not null default false;
create index outbox_by_breaker on outbox (stream) where by_breaker;

-- First attempts that left, by stream and hour. Written by the exit's claim, which goes one after the other in any case.
create table passage (
    stream  text not null,
    hour    timestamptz not null,
    letters integer not null,
    primary key (stream, hour)
);

create table breaker (
    stream      text primary key,
    ceiling     integer not null default 0,        -- letters that may leave in a day, as last computed from the facts
    measured_at timestamptz,                       -- … then
    tripped_at  timestamptz,                       -- not null: the stream is held
    passed      integer,                           -- letters that had left when it was
    told_at     timestamptz                        -- the operator was written to about it
);
insert into breaker (stream) values ('introductions'), ('reminders'), ('topics'), ('notices'), ('alarms');

-- A person sent this topic with a command: expected, however many they send in a day.
alter table sending add column by_hand boolean not null default false;

-- 0 partners' letters, 1 all others: a partner waits behind no crowd of bounces or sign-ups.
alter table inbox add column priority smallint not null default 1;
update inbox set priority = 0 where state in ('pending', 'held') and recipient ? 'alias';
drop index inbox_due;
create index inbox_due on inbox (priority, next_at, id) where state = 'pending';
-- Letters that failed are told to the operator.
create index inbox_failed on inbox (id) where state = 'failed';
alter table inbox add column told_at timestamptz;  -- the operator was written to about it

-- A coordinator's answer to our question whether everything is to stop, or to go again.
alter table token drop constraint token_purpose_check;
alter table token add constraint token_purpose_check check (purpose in ('sign-up', 'vouch', 'subscribe', 'service', 'hold', 'release'));
