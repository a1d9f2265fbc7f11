-- What a match proves and what it rests on; and matches made while a round runs already.

alter table round add column certificate jsonb;     -- the dual values that prove the last match; null: none was made since this column came
alter table round add column rematched_on date;     -- the last day on which those without a partner were matched anew while the round ran

-- Who competes with this person for whom, by all rules: for coordinators alone. `why` is for the person.
alter table unmatched add column witness jsonb;

-- Partnerships of a round by state: those under way are asked for with each match made while it runs.
create index partnership_of_round on partnership (round_id, state);
drop index partnership_round_id_idx;
