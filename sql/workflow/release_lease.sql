-- Give leases back; those that were lost are not ours to give. Not for the disk to know: after a crash of the server no
-- lease of before is held.
DELETE FROM {prefix}workflow_leases l
WHERE l.token = ANY ((SELECT %(tokens)s::uuid[])::uuid[])
  AND (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL
