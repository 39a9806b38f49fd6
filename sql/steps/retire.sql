-- End as a worker: what is still leased to it is anybody's from now on.
DELETE FROM {prefix}workers w
WHERE w.id = %(me)s::text
