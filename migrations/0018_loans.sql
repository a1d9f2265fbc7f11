-- A picture that a partner's letter passes on is not kept twice: instead of its octets a piece of the letter that leaves says where in the letter that came
-- in those stand of which it is made. That letter keeps its words for as long as one that has some of them does.
-- A process of the version before can't read such a letter, and tries it again later.
alter table piece add column lender uuid, add column lent_from integer, add column lent_to integer;
create index piece_lender on piece (lender) where lender is not null;
