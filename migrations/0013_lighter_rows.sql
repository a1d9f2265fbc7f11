-- A letter's row is written three times on its way, and each time into every index. What only a sweep or a few kinds of letters need is kept out of the way.

-- Whose words are still kept: those that are through, by their age, and none on its way.
drop index outbox_words;
create index outbox_words on outbox (created_at) where raw is not null and state in ('sent', 'failed', 'dropped');

-- How many letters of a kind were written lately is asked of single answers; never of what partners write, nor of topics.
drop index outbox_recent;
create index outbox_recent on outbox (kind, created_at) where stream not in ('relay', 'topics');

-- Most letters belong to no sending.
drop index outbox_sending_id_idx;
create index outbox_sending on outbox (sending_id) where sending_id is not null;

-- What became of a letter is noted soon after its row was written: with room on its page no index hears of it.
alter table exchange set (fillfactor = 80);
