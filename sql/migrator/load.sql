-- What was applied, in order.
SELECT version, name, checksum, applied_at, duration
FROM {migrations}
ORDER BY version
