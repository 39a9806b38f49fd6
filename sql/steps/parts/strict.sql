-- Each level may give all that is wanted; the first ones do.
levels AS MATERIALIZED (
    SELECT l.priority, l.number, %(limit)s::bigint AS share
    FROM unnest(%(priorities)s::smallint[]) WITH ORDINALITY AS l (priority, number)
)
