-- Each level may give all that is wanted; the first ones do.
levels AS MATERIALIZED (
    SELECT l.priority, l.number, %(limit)s::bigint AS share
    FROM unnest('{10,9,8,7,6,5,4,3,2,1,0}'::smallint[]) WITH ORDINALITY AS l (priority, number)
)
