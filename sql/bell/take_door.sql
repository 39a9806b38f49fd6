-- Take the door of a channel, exclusively: from now on every producer finds it closed, and rings.
--
-- A producer holds it shared until its transaction ends, and rings only when it cannot. So the answer is one of three:
-- 'held'; 'listener', when another listener holds it, and producers ring for all; 'producer', when one is under way that
-- found nobody waiting: what it writes is seen by polling again soon.
SELECT CASE
           WHEN pg_try_advisory_lock(%(door)s::bigint) THEN 'held'
           WHEN NOT pg_try_advisory_lock_shared(%(door)s::bigint) THEN 'listener'
           WHEN pg_advisory_unlock_shared(%(door)s::bigint) THEN 'producer'
       END AS door
