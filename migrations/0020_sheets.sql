-- The text that the letters of a sending have in common is kept once for some hundred of them; the row of each holds what it has of its own, which is
-- shorter than `size` says. A process of the version before that comes upon such a row puts it off until one of this version sends it.
create table sheet (
    id         uuid primary key,
    raw        bytea not null,
    letters    uuid[] not null,                    -- those on it: when the words of all are forgotten, it is
    created_at timestamptz not null
);
