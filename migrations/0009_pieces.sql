-- A large letter is kept in pieces, a row each: so neither we nor Postgres ever hold it whole more often than somebody reads it, where a value of 25 MB
-- costs Postgres three copies each time it passes. A piece fills a page and is never moved out of its row, which costs half of what a TOAST table does.
-- Of such a letter `raw` is empty, and null as ever once its words are forgotten; `size` is that of the whole. Letters that are there stay readable.
-- A process of the version before takes such a letter for an empty one: processes on one database are of one version.
create table piece (
    letter_id uuid not null,                       -- of letter or outbox; written with its row, forgotten with its words
    place     integer not null,
    raw       bytea not null,
    primary key (letter_id, place)
);
alter table piece alter column raw set storage plain;
