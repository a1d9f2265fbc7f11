-- A letter out over which the process ends three times is set aside, as one that came in is.
-- Processes of the version before go on beside this schema: what they free counts no death.
alter table outbox add column deaths smallint not null default 0;  -- processes that ended while they sent it, in a row
-- Empty on every good day.
create index outbox_died on outbox (id) where deaths > 0;
