-- Each refusal names its session (`… (session abc)`), so that whoever was refused can ask why: the record knows it too, and how the letter travelled.
-- Only of refused letters is it looked for; whoever brought one that was kept has its id. New columns, nothing rewritten.
alter table exchange
    add column session text, -- that of the client which brought the letter
    add column tls text;     -- the version it spoke: 1.2, 1.3; nothing where it came in clear
create index exchange_session on exchange (session) where outcome = 'refused';
