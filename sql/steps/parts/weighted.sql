-- Each level that has work gives as many as were drawn for it: with a probability in proportion to its weight, which is its
-- priority + 1. `draws` are as many numbers from [0, 1) as tasks are wanted.
work AS MATERIALIZED (
    SELECT l.priority, l.number, l.priority + 1 AS weight, sum(l.priority + 1) OVER (ORDER BY l.number) AS upto
    FROM unnest('{10,9,8,7,6,5,4,3,2,1,0}'::smallint[]) WITH ORDINALITY AS l (priority, number)
    WHERE EXISTS (
        SELECT
        FROM open s
        CROSS JOIN LATERAL (
            SELECT t.id
            FROM {prefix}step_queue t
            WHERE {{steps/parts/behind_mark}}
              AND {{steps/parts/free}}
            ORDER BY t.queue, t.priority, t.id
            LIMIT 1
        ) AS c
    )
), levels AS MATERIALIZED (
    SELECT w.priority, w.number, count(*) AS share
    FROM unnest((SELECT %(draws)s::float8[])) AS d (draw)
    JOIN work w ON floor(d.draw * (SELECT sum(work.weight) FROM work)) BETWEEN w.upto - w.weight AND w.upto - 1
    GROUP BY w.priority, w.number
)
