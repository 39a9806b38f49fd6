-- A task that this claimer may have: nobody's, or that of a dead worker.
--
-- A worker that began to live after this statement did is not among `alive`, but neither was anything claimed by it before.
(%(namespace)s::text IS NULL OR t.namespace = %(namespace)s::text)
AND (t.claimed_by IS NULL OR (t.claimed_at < now() AND t.claimed_by NOT IN (SELECT alive.id FROM alive)))
