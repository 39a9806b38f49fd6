-- The tasks of this level and queue behind the mark of the claimer.
--
-- The level is bounded from both sides, because with an equality the planner would take the order by priority for given, walk
-- the primary key and throw away what is of another level. The lower bound and the mark are one row, for the probe to begin
-- there; the upper bound is none, because a row would not end it before the end of the queue.
t.gate < 1 AND t.queue = s.queue AND t.priority <= l.priority
AND (t.priority, t.id)
    > (l.priority, (%(after)s::bigint[])[(l.number - 1) * cardinality(%(queues)s::text[]) + s.number])
