-- Enters the files into the work list.
-- Arrays and unnest: one round trip for all of them.
INSERT INTO {prefix}demo_files (workflow_id, path)
SELECT f.workflow_id, f.path
FROM unnest(%(workflow_ids)s::text[], %(paths)s::text[]) AS f (workflow_id, path)
