-- Keep completed tasks, `e`, together.
INSERT INTO {prefix}step_batches (number, span, claimed_by, queue, ids, tasks)
SELECT count(*), int8range(min(e.id), max(e.id), '[]'), %(me)s::text, e.queue, array_agg(e.id), array_agg(e.task)
