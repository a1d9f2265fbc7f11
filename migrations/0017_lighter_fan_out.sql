-- A sending writes a row for each reader into the outbox, the record and the tokens, and the outbox's once more when it is sent. Each index costs an entry
-- each time, each foreign key a query: those that no statement needs, or a few letters only, are kept out of the way. Processes of the version before go on
-- beside this schema: none of their statements needs what goes.

-- A letter's mailbox is the one of its row in the record, written by the same statement and checked there; a sending's row is never deleted.
alter table outbox drop constraint outbox_address_id_fkey, drop constraint outbox_sending_id_fkey;
drop index outbox_sending;

-- How often somebody was answered lately is never asked about topics or partners' letters; what is taken back from who leaves, only of what waits.
drop index outbox_address_id_idx;
create index outbox_answered on outbox (address_id, created_at) where stream not in ('relay', 'topics');
create index outbox_taken_back on outbox (address_id) where sending_id is not null and owner is null and state in ('queued', 'held');

-- Claimed, or queued as claimed, a letter is not due.
drop index outbox_due;
create index outbox_due on outbox (priority, next_at, id) where state = 'queued' and owner is null;

-- Tokens are found by themselves alone.
drop index token_address_id_idx;

-- 0013 and 0014 meant what became of a letter to be noted without a word to the indexes: in a sending the rows of a page are noted soon after each other, and
-- a fifth of the page is full after a few. With half of it each finds room; what is lost in the table is won in its indexes.
alter table exchange set (fillfactor = 50);
