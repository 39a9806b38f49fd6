-- Continue a run with another version of its definition: what is completed stays, what is gone from the definition and
-- not completed goes, what is new comes.
WITH changed AS (
    UPDATE {prefix}workflows w
    SET version = %(version)s::text, updated_at = clock_timestamp()
    WHERE w.workflow_id = %(workflow_id)s::text
      AND w.status NOT IN (4 /* COMPLETED */, 6 /* CANCELLED */)
      AND (%(token)s::uuid IS NULL OR EXISTS (
          SELECT 1 FROM {prefix}workflow_leases l WHERE l.workflow = w.id AND l.token = %(token)s::uuid FOR KEY SHARE
      ))
    RETURNING w.id, w.run
), defined AS MATERIALIZED (
    SELECT s.step_name, s.position, s.step_type, s.depends_on, s.dependents, s.metadata
    FROM json_to_recordset(%(steps)s::text::json)
         AS s (step_name text, position integer, step_type smallint, depends_on text[], dependents text[], metadata json)
), gone AS (
    DELETE FROM {prefix}workflow_steps s
    USING changed
    WHERE s.workflow = changed.id AND s.run = changed.run AND s.status <> 4 /* COMPLETED */
      AND NOT EXISTS (SELECT FROM defined d WHERE d.step_name = s.step_name)
), written AS (
    INSERT INTO {prefix}workflow_steps AS s
        (workflow, run, step_name, position, step_type, depends_on, dependents, pending_deps, metadata)
    SELECT changed.id, changed.run, d.step_name, d.position, d.step_type, d.depends_on, d.dependents,
           cardinality(d.depends_on), d.metadata
    FROM changed, defined d
    ON CONFLICT (workflow, run, step_name) DO UPDATE
    SET position = EXCLUDED.position, step_type = EXCLUDED.step_type, depends_on = EXCLUDED.depends_on,
        dependents = EXCLUDED.dependents, pending_deps = EXCLUDED.pending_deps, metadata = EXCLUDED.metadata
)
SELECT changed.run
FROM changed
