-- Let the server notice within half a minute that the machine at the other end is gone, and free its locks: a process that
-- dies says so, a machine that dies does not, and the system's own default is two hours.
SELECT set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
       set_config('tcp_keepalives_count', '3', false)
