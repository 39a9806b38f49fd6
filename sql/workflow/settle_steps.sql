-- Settle tasks of workers and carry their runs on: checkpoints, attempts, tasks of the steps that are ready now, ends.
--
-- The workflows are locked first, in the order of their ids, so that batches cannot deadlock; their rows and those of steps
-- are then met in their newest versions, by UPDATE and by key. A task counts its step down once, because it is deleted here:
-- a step that was completed before, by a transaction of its own, still carries on. Several steps that count down one
-- dependent are summed, because a statement updates a row once. Steps without dependents count the workflow down.
-- Nothing is enqueued in a run that is ending: whoever settles the last of its tasks wakes the one that ends it.
-- Of a run that has ended, or is not the current one, the task is deleted and nothing is written. Attempt 0 is none.
--
-- What a task knows is carried along, not joined to it again, and who holds it is compared in a CASE: the planner, which
-- believes that several comparisons leave one row, would compare each row of one list with each of another.
WITH given AS MATERIALIZED (
    SELECT g.id, g.lease, g.claimed_by, g.status, g.result, g.error, g.attempt, g.duration, g.pause
    FROM unnest(
        %(ids)b::bigint[], %(leases)b::integer[], %(claimed_bys)b::text[], %(statuses)b::smallint[], %(results)b::text[],
        %(errors)b::text[], %(attempts)b::integer[], %(durations)b::interval[], %(pauses)b::interval[]
    ) AS g (id, lease, claimed_by, status, result, error, attempt, duration, pause)
    WHERE g.claimed_by = ANY (ARRAY(
        SELECT v.id
        FROM {prefix}workers v
        WHERE v.id = ANY (%(claimed_bys)b::text[]) AND v.expires_at > clock_timestamp()
    ))
), held AS MATERIALIZED (
    SELECT g.id, g.lease, g.claimed_by, g.status, g.result, g.error, g.attempt, g.duration, g.pause, q.workflow, q.run,
           q.step_name, q.queue, q.priority
    FROM {prefix}step_queue q
    JOIN given g ON g.id = q.id
    WHERE q.id = ANY (%(ids)b::bigint[]) AND CASE WHEN q.lease = g.lease THEN q.claimed_by = g.claimed_by END
), locked AS MATERIALIZED (
    SELECT w.id, w.run, w.workflow_id, w.namespace, w.deadline_at, w.ending,
           'workflow:' || w.workflow_name || '@' || COALESCE(w.version, '') AS definition,
           w.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */) AS is_open
    FROM {prefix}workflows w
    WHERE w.id = ANY (ARRAY(SELECT h.workflow FROM held h))
    ORDER BY w.id
    FOR NO KEY UPDATE
), judged AS MATERIALIZED (
    SELECT h.id, h.lease, h.claimed_by, h.status, h.result, h.error, h.attempt, h.duration, h.pause, h.run, h.step_name,
           h.queue, h.priority, l.id AS workflow, l.workflow_id, l.namespace, l.definition, l.deadline_at, l.ending,
           l.is_open AND l.run = h.run AS is_live,
           l.is_open AND l.run = h.run AND (NOT l.ending OR h.step_name = '') AND h.status = 1 /* PENDING */ AS is_again
    FROM held h
    LEFT JOIN locked l ON l.id = h.workflow
), again AS (
    UPDATE {prefix}step_queue q
    SET id = DEFAULT, claimed_by = NULL, claimed_at = NULL, deliveries = 0, attempt = q.attempt + 1, error = j.error::json,
        gate = CASE WHEN j.pause > interval '0' THEN 1 ELSE 0 END, waits_for = NULL,
        available_at = CASE WHEN j.pause > interval '0' THEN LEAST(clock_timestamp() + j.pause, j.deadline_at) END
    FROM judged j
    WHERE q.id = j.id AND j.is_again
      AND CASE WHEN q.lease = j.lease THEN q.claimed_by = j.claimed_by END
    RETURNING j.id, j.claimed_by, j.status, j.result, j.error, j.attempt, j.duration, j.run, j.step_name, j.queue,
              j.priority, j.workflow, j.workflow_id, j.namespace, j.definition, j.deadline_at, j.ending, j.is_live
), done AS (
    DELETE FROM {prefix}step_queue q
    USING judged j
    WHERE q.id = j.id AND j.is_again IS NOT TRUE
      AND CASE WHEN q.lease = j.lease THEN q.claimed_by = j.claimed_by END
    RETURNING j.id, j.claimed_by, j.status, j.result, j.error, j.attempt, j.duration, j.run, j.step_name, j.queue,
              j.priority, j.workflow, j.workflow_id, j.namespace, j.definition, j.deadline_at, j.ending, j.is_live
), settled AS MATERIALIZED (
    SELECT a.id, a.claimed_by, a.status, a.result, a.error, a.attempt, a.duration, a.run, a.step_name, a.queue, a.priority,
           a.workflow, a.workflow_id, a.namespace, a.definition, a.deadline_at, a.ending, a.is_live, true AS is_again
    FROM again a
    UNION ALL
    SELECT d.id, d.claimed_by, d.status, d.result, d.error, d.attempt, d.duration, d.run, d.step_name, d.queue, d.priority,
           d.workflow, d.workflow_id, d.namespace, d.definition, d.deadline_at, d.ending, d.is_live, false
    FROM done d
), attempted AS (
    INSERT INTO {prefix}step_attempts
        (workflow, run, step_name, attempt, status, error, instance_id, started_at, completed_at, duration)
    SELECT d.workflow, d.run, d.step_name, d.attempt,
           CASE WHEN d.error IS NULL THEN 4 /* COMPLETED */ ELSE 5 /* FAILED */ END, d.error::json, d.claimed_by,
           clock_timestamp() - COALESCE(d.duration, '0'), clock_timestamp(), d.duration
    FROM settled d
    WHERE d.is_live AND d.step_name <> '' AND d.attempt > 0
    ON CONFLICT DO NOTHING
), saved AS (
    UPDATE {prefix}workflow_steps s
    SET status = CASE WHEN s.status IN (4 /* COMPLETED */, 6 /* SKIPPED */) THEN s.status ELSE d.status END,
        result = CASE WHEN s.status IN (4 /* COMPLETED */, 6 /* SKIPPED */) THEN s.result ELSE d.result::json END,
        error = CASE WHEN s.status IN (4 /* COMPLETED */, 6 /* SKIPPED */) THEN s.error ELSE d.error::json END,
        attempt = GREATEST(s.attempt, d.attempt), duration = COALESCE(d.duration, s.duration),
        started_at = COALESCE(clock_timestamp() - d.duration, s.started_at),
        completed_at = CASE
                           WHEN s.status IN (4 /* COMPLETED */, 6 /* SKIPPED */) THEN s.completed_at
                           WHEN d.status <> 1 /* PENDING */ THEN clock_timestamp()
                       END
    FROM settled d
    WHERE s.workflow = d.workflow AND s.run = d.run AND s.step_name = d.step_name AND d.is_live
    RETURNING d.workflow, d.run, d.workflow_id, d.namespace, d.definition, d.deadline_at, d.ending, d.queue, d.priority,
              s.dependents, s.status = 5 /* FAILED */ AS is_failed,
              NOT d.is_again AND s.status IN (4 /* COMPLETED */, 6 /* SKIPPED */) AS is_done,
              CASE WHEN cardinality(s.dependents) = 0 THEN s.result END AS result
), sums AS MATERIALIZED (
    SELECT v.workflow, v.run, v.workflow_id, v.namespace, v.definition, v.ending OR bool_or(v.is_failed) AS ending,
           min(v.queue) AS queue, min(v.priority) AS priority,
           (count(*) FILTER (WHERE v.is_done AND cardinality(v.dependents) = 0))::integer AS terminals,
           (array_agg(v.result) FILTER (WHERE v.is_done AND cardinality(v.dependents) = 0))[1] AS result
    FROM saved v
    GROUP BY v.workflow, v.run, v.workflow_id, v.namespace, v.definition, v.ending
), ended AS (
    UPDATE {prefix}workflows w
    SET remaining = w.remaining - m.terminals, updated_at = clock_timestamp(),
        ending = m.ending OR (w.remaining = m.terminals AND w.ends_in_task),
        status = CASE WHEN w.remaining > m.terminals OR w.ends_in_task OR m.ending THEN w.status ELSE 4 /* COMPLETED */ END,
        result = CASE WHEN w.remaining > m.terminals OR w.ends_in_task OR m.ending THEN w.result ELSE m.result END,
        completed_at = CASE
                           WHEN w.remaining > m.terminals OR w.ends_in_task OR m.ending THEN w.completed_at
                           ELSE clock_timestamp()
                       END
    FROM sums m
    WHERE w.id = m.workflow AND (m.terminals > 0 OR m.ending)
    RETURNING w.id AS workflow, w.run, w.workflow_id, w.namespace, m.definition, m.queue, m.priority, w.ending, w.status
), hit AS MATERIALIZED (
    SELECT v.workflow, v.run, v.workflow_id, v.namespace, v.definition, v.deadline_at, n.step_name,
           v.ending OR bool_or(v.is_failing) AS ending, count(*)::integer AS number
    FROM (
        SELECT v.workflow, v.run, v.workflow_id, v.namespace, v.definition, v.deadline_at, v.ending, v.dependents, v.is_done,
               bool_or(v.is_failed) OVER (PARTITION BY v.workflow) AS is_failing
        FROM saved v
    ) AS v
    CROSS JOIN unnest(v.dependents) AS n (step_name)
    WHERE v.is_done
    GROUP BY v.workflow, v.run, v.workflow_id, v.namespace, v.definition, v.deadline_at, v.ending, n.step_name
), counted AS (
    UPDATE {prefix}workflow_steps s
    SET pending_deps = s.pending_deps - h.number,
        wake_at = CASE
                      WHEN s.pending_deps = h.number THEN COALESCE(s.wake_at, clock_timestamp() + s.pause)
                      ELSE s.wake_at
                  END,
        status = CASE
                     WHEN s.pending_deps = h.number AND s.status = 1 /* PENDING */
                          AND COALESCE(s.wake_at, clock_timestamp() + s.pause) > clock_timestamp() THEN 3 /* WAITING */
                     ELSE s.status
                 END
    FROM hit h
    WHERE s.workflow = h.workflow AND s.run = h.run AND s.step_name = h.step_name
    RETURNING h.workflow, h.run, h.workflow_id, h.namespace, h.definition, h.deadline_at, h.ending, s.step_name, s.position,
              s.queue, s.priority, s.wake_at, s.status, s.pending_deps
), tasks AS (
    INSERT INTO {prefix}step_queue AS t (
        workflow, definition, workflow_id, run, step_name, queue, priority, namespace, gate, available_at
    )
    SELECT n.workflow, n.definition, n.workflow_id, n.run, n.step_name, n.queue, n.priority, n.namespace,
           CASE WHEN n.wake_at > clock_timestamp() THEN 1 ELSE 0 END,
           CASE WHEN n.wake_at > clock_timestamp() THEN LEAST(n.wake_at, n.deadline_at) END
    FROM (
        SELECT c.workflow, c.definition, c.workflow_id, c.run, c.step_name, c.position, c.queue, c.priority, c.namespace,
               c.wake_at, c.deadline_at
        FROM counted c
        WHERE c.pending_deps = 0 AND c.status IN (1 /* PENDING */, 3 /* WAITING */) AND NOT c.ending
        UNION ALL
        SELECT e.workflow, e.definition, e.workflow_id, e.run, '', NULL, e.queue, e.priority, e.namespace, NULL, NULL
        FROM ended e
        WHERE e.ending
    ) AS n
    ORDER BY n.workflow, n.position
    ON CONFLICT (lane, run, hashtextextended(step_name, 0), (definition IS NULL)) DO UPDATE
    SET id = DEFAULT, gate = 0, available_at = NULL, waits_for = NULL
    WHERE t.step_name = '' AND t.gate = 1
    RETURNING queue
), rung AS (
    SELECT 'step_queue.' || tasks.queue AS name
    FROM tasks
    UNION ALL
    SELECT 'step_queue.' || again.queue
    FROM again
    UNION ALL
    SELECT 'workflows'
    FROM ended
    WHERE ended.status = 4 /* COMPLETED */
)
SELECT s.id
FROM settled s
WHERE {{bell/parts/rings}} IS NOT FALSE
