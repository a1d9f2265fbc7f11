-- What /metrics counts at every look is what waits or failed, and never the rows of all years. Letters out that stay where they are until a person comes:
-- few on every good day, and no letter on its way is among them.
create index outbox_stays on outbox (state) where state in ('held', 'failed');

-- A letter that comes again is known for five days, also where `keep_words_days` forgets its words sooner. Empty where it does not.
create index inbox_known on inbox (received_at) where fingerprint is not null and peer = '';
