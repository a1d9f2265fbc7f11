-- Monthly topics and who wants them.

create table topic (
    id         uuid primary key,
    slug       text not null unique,
    title      text not null,
    body       text not null,                      -- Markdown
    send_on    date,                               -- the day it goes out; null: not scheduled
    state      text not null default 'draft' check (state in ('draft', 'scheduled', 'sending', 'sent')),
    created_at timestamptz not null,
    sent_at    timestamptz
);

create table subscription (
    person_id    uuid primary key references person,
    confirmed_at timestamptz not null,
    left_at      timestamptz
);
