-- A letter that comes again is known for five days, also where `keep_words_days` forgets its words sooner. Empty where it does not.
create index inbox_known on inbox (received_at) where fingerprint is not null and peer = '';
