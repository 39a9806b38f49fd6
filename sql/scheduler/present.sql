-- Now, for those who compare with it before they write.
SELECT COALESCE(%(clock)s::timestamptz, clock_timestamp()) AS present
