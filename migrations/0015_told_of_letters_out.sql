-- A letter out that is set aside is told to the operator once, as one that came in is.
-- Processes of the version before go on beside this schema: they tell of none.
alter table outbox add column told_at timestamptz;
