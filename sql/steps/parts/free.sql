-- A task that this claimer may have: nobody's, or that of a dead worker; and of a step that it knows, if it says which, or
-- of a definition that it knows.
--
-- `namespace` is the column, or where all are seen the empty text, which is then the value as well: an OR would keep a plan
-- for any value from the index. The planner is not to guess how many tasks are of those steps: where it thinks few, it reads
-- the table and sorts.
--
-- A worker that began to live after this statement did is not among `alive`, but neither was anything claimed by it before.
{namespace} = (SELECT %(namespace)s::text)
AND CASE
        WHEN t.definition IS NOT NULL THEN array_position((SELECT %(definitions)s::text[]), t.definition) IS NOT NULL
        ELSE (SELECT %(steps)s::text[]) IS NULL OR array_position((SELECT %(steps)s::text[]), t.step_name) IS NOT NULL
    END
AND (t.claimed_by IS NULL OR (t.claimed_at < now() AND t.claimed_by NOT IN (SELECT alive.id FROM alive)))
