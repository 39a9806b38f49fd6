-- Whether whoever writes may: he shows no lease, or that of the run `w`, or a task of it that he holds.
--
-- Both are locked until the end of his transaction: a takeover waits for it, and after a takeover they are not found. The
-- token is a key, which a takeover changes; a task is picked for update by whoever claims it next.
(
    %(token)s::uuid IS NULL AND %(task)s::bigint IS NULL
    OR EXISTS (
        SELECT 1 FROM {prefix}workflow_leases l WHERE l.workflow = w.id AND l.token = %(token)s::uuid FOR KEY SHARE
    )
    OR EXISTS (
        SELECT 1
        FROM {prefix}step_queue t
        WHERE t.id = %(task)s::bigint AND t.workflow = w.id AND t.run = w.run AND t.claimed_by = %(claimed_by)s::text
          AND t.lease = %(task_lease)s::integer
          AND EXISTS (
              SELECT FROM {prefix}workers v WHERE v.id = %(claimed_by)s::text AND v.expires_at > clock_timestamp()
          )
        FOR KEY SHARE OF t
    )
)
