-- The tasks of this level and queue behind the mark of the claimer.
--
-- Rows are compared as rows because the planner would otherwise take the order by queue and priority for given, walk the
-- primary key and throw away what is of another level.
t.gate < 1 AND (t.queue, t.priority) <= (s.queue, l.priority)
AND (t.queue, t.priority, t.id)
    > (s.queue, l.priority, (%(after)s::bigint[])[(l.number - 1) * cardinality(%(queues)s::text[]) + s.number])
