-- What became of a letter is noted in its row of the record soon after that was written. No index hears of it when nothing changes that an index holds or asks
-- about, and there is room on the page (0013): so none asks about the outcome.
drop index exchange_session;
create index exchange_session on exchange (session) where session is not null;

-- Most letters have no cause.
drop index exchange_cause_id_idx;
create index exchange_cause on exchange (cause_id) where cause_id is not null;
