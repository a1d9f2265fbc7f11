-- A match of those who wait while a round runs has a proof of its own, beside that of the match the round began with.
alter table round add column late_certificate jsonb;  -- the dual values that prove the last such match; null: there was none since this column came
