-- Settle tasks of workers and carry their runs on: checkpoints, attempts, tasks of the steps that are ready now, ends.
--
-- The workflows are locked first, in the order of their ids, so that batches cannot deadlock; their rows and those of steps
-- are then met in their newest versions, by UPDATE and by key. A task counts its step down once, because it is deleted here:
-- a step that was completed before, by a transaction of its own, still carries on. Several steps that count down one
-- dependent are summed, because a statement updates a row once. Steps without dependents count the workflow down.
-- Nothing is enqueued in a run that is ending: whoever settles the last of its tasks wakes the one that ends it.
-- Of a run that has ended, or is not the current one, the task is deleted and nothing is written. Attempt 0 is none.
WITH given AS MATERIALIZED (
    SELECT g.id, g.lease, g.claimed_by, g.status, g.result, g.error, g.attempt, g.duration, g.pause
    FROM unnest(
        %(ids)b::bigint[], %(leases)b::integer[], %(claimed_bys)b::text[], %(statuses)b::smallint[], %(results)b::text[],
        %(errors)b::text[], %(attempts)b::integer[], %(durations)b::interval[], %(pauses)b::interval[]
    ) AS g (id, lease, claimed_by, status, result, error, attempt, duration, pause)
), alive AS MATERIALIZED (
    SELECT v.id
    FROM {prefix}workers v
    WHERE v.id = ANY (%(claimed_bys)b::text[]) AND v.expires_at > clock_timestamp()
), held AS MATERIALIZED (
    SELECT g.id, g.lease, g.claimed_by, g.status, g.result, g.error, g.attempt, g.duration, g.pause, q.workflow, q.run,
           q.step_name, q.queue, q.priority
    FROM {prefix}step_queue q
    JOIN given g ON g.id = q.id AND g.lease = q.lease AND g.claimed_by = q.claimed_by
    WHERE q.id = ANY (%(ids)b::bigint[]) AND q.claimed_by IN (SELECT alive.id FROM alive)
), locked AS MATERIALIZED (
    SELECT w.id, w.run, w.workflow_id, w.namespace, w.deadline_at, w.ending, w.ends_in_task,
           'workflow:' || w.workflow_name || '@' || COALESCE(w.version, '') AS definition,
           w.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */) AS is_open
    FROM {prefix}workflows w
    WHERE w.id = ANY (ARRAY(SELECT h.workflow FROM held h))
    ORDER BY w.id
    FOR NO KEY UPDATE
), judged AS MATERIALIZED (
    SELECT h.id, h.lease, h.claimed_by, h.status, h.result, h.error, h.attempt, h.duration, h.pause, h.workflow, h.run,
           h.step_name, h.queue, h.priority, l.deadline_at, l.is_open AND l.run = h.run AS is_live,
           l.is_open AND l.run = h.run AND (NOT l.ending OR h.step_name = '') AND h.status = 1 /* PENDING */ AS is_again
    FROM held h
    LEFT JOIN locked l ON l.id = h.workflow
), again AS (
    UPDATE {prefix}step_queue q
    SET id = DEFAULT, claimed_by = NULL, claimed_at = NULL, deliveries = 0, attempt = q.attempt + 1, error = j.error::json,
        gate = CASE WHEN j.pause > interval '0' THEN 1 ELSE 0 END, waits_for = NULL,
        available_at = CASE WHEN j.pause > interval '0' THEN LEAST(clock_timestamp() + j.pause, j.deadline_at) END
    FROM judged j
    WHERE q.id = j.id AND q.id = ANY (%(ids)b::bigint[]) AND q.claimed_by = j.claimed_by AND q.lease = j.lease AND j.is_again
    RETURNING j.id
), done AS (
    DELETE FROM {prefix}step_queue q
    USING judged j
    WHERE q.id = j.id AND q.id = ANY (%(ids)b::bigint[]) AND q.claimed_by = j.claimed_by AND q.lease = j.lease
      AND j.is_again IS NOT TRUE
    RETURNING j.id
), settled AS MATERIALIZED (
    SELECT j.id, j.status, j.result, j.error, j.attempt, j.duration, j.workflow, j.run, j.step_name, j.queue, j.priority,
           j.claimed_by, j.is_again, j.is_live
    FROM judged j
    WHERE j.id IN (SELECT again.id FROM again UNION ALL SELECT done.id FROM done)
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
    RETURNING s.workflow, s.run, s.step_name, s.status, s.dependents, d.queue, d.priority, d.is_again,
              CASE WHEN cardinality(s.dependents) = 0 THEN s.result END AS result
), sums AS MATERIALIZED (
    SELECT v.workflow, min(v.queue) AS queue, min(v.priority) AS priority,
           bool_or(v.status = 5 /* FAILED */) AS failed, bool_and(v.is_again) AS is_again,
           (count(*) FILTER (WHERE v.is_done AND cardinality(v.dependents) = 0))::integer AS terminals,
           (array_agg(v.result) FILTER (WHERE v.is_done AND cardinality(v.dependents) = 0))[1] AS result
    FROM (
        SELECT v.workflow, v.queue, v.priority, v.status, v.is_again, v.dependents, v.result,
               v.status IN (4 /* COMPLETED */, 6 /* SKIPPED */) AND NOT v.is_again AS is_done
        FROM saved v
    ) AS v
    GROUP BY v.workflow
), ended AS (
    UPDATE {prefix}workflows w
    SET remaining = w.remaining - m.terminals,
        ending = w.ending OR m.failed OR (w.remaining = m.terminals AND w.ends_in_task), updated_at = clock_timestamp(),
        status = CASE
                     WHEN w.remaining > m.terminals OR w.ends_in_task OR m.failed THEN w.status
                     ELSE 4 /* COMPLETED */
                 END,
        result = CASE WHEN w.remaining > m.terminals OR w.ends_in_task OR m.failed THEN w.result ELSE m.result END,
        completed_at = CASE
                           WHEN w.remaining > m.terminals OR w.ends_in_task OR m.failed THEN w.completed_at
                           ELSE clock_timestamp()
                       END
    FROM sums m
    WHERE w.id = m.workflow AND (m.terminals > 0 OR m.failed)
    RETURNING w.id, w.remaining, w.status
), hit AS MATERIALIZED (
    SELECT v.workflow, v.run, n.step_name, count(*)::integer AS number
    FROM saved v
    CROSS JOIN unnest(v.dependents) AS n (step_name)
    WHERE v.status IN (4 /* COMPLETED */, 6 /* SKIPPED */) AND NOT v.is_again
    GROUP BY v.workflow, v.run, n.step_name
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
    RETURNING s.workflow, s.step_name, s.position, s.queue, s.priority, s.wake_at, s.status, s.pending_deps
), tasks AS (
    INSERT INTO {prefix}step_queue AS t (
        workflow, definition, workflow_id, run, step_name, queue, priority, namespace, gate, available_at
    )
    SELECT l.id, l.definition, l.workflow_id, l.run, n.step_name, n.queue, n.priority, l.namespace,
           CASE WHEN n.wake_at > clock_timestamp() THEN 1 ELSE 0 END,
           CASE WHEN n.wake_at > clock_timestamp() THEN LEAST(n.wake_at, l.deadline_at) END
    FROM (
        SELECT c.workflow, c.step_name, c.position, c.queue, c.priority, c.wake_at
        FROM counted c
        JOIN sums m ON m.workflow = c.workflow AND NOT m.failed
        JOIN locked o ON o.id = c.workflow AND NOT o.ending
        WHERE c.pending_deps = 0 AND c.status IN (1 /* PENDING */, 3 /* WAITING */)
        UNION ALL
        SELECT m.workflow, '', NULL, m.queue, m.priority, NULL
        FROM sums m
        JOIN locked o ON o.id = m.workflow
        LEFT JOIN ended e ON e.id = m.workflow
        WHERE o.ending OR m.failed OR (e.remaining = 0 AND e.status <> 4 /* COMPLETED */)
    ) AS n
    JOIN locked l ON l.id = n.workflow
    ORDER BY l.id, n.position
    ON CONFLICT (lane, run, hashtextextended(step_name, 0), (definition IS NULL)) DO UPDATE
    SET id = DEFAULT, gate = 0, available_at = NULL, waits_for = NULL
    WHERE t.step_name = '' AND t.gate = 1
    RETURNING queue
), rung AS (
    SELECT 'step_queue.' || tasks.queue AS name
    FROM tasks
    UNION ALL
    SELECT 'step_queue.' || d.queue
    FROM settled d
    WHERE d.is_again
    UNION ALL
    SELECT 'workflows'
    FROM ended
    WHERE ended.status = 4 /* COMPLETED */
)
SELECT s.id
FROM settled s
WHERE {{bell/parts/rings}} IS NOT FALSE
