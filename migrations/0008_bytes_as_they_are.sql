-- Letters are kept as they came. What is large in them is pictures in base 64, which Postgres would try to compress in vain: more work than all else that is
-- done with a large letter. Rows that are there stay readable.
alter table letter alter column raw set storage external;
alter table outbox alter column raw set storage external;
