-- Give every session advisory lock of this connection back: its end does too, but not before the server has noticed it.
SELECT pg_advisory_unlock_all() IS NULL AS unlocked
