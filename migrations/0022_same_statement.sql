-- The rows of a letter in the inbox or outbox, of its bytes and of the record are written by one statement, and none of them is ever deleted: these keys could
-- only find what that statement itself did wrong, and asked a question, and locked a row, for each letter. Its writer is checked with the row in the record.
alter table inbox drop constraint inbox_letter_id_fkey, drop constraint inbox_exchange_id_fkey, drop constraint inbox_writer_id_fkey;
alter table outbox drop constraint outbox_exchange_id_fkey;
