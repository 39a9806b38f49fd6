-- The function behind the triggers of a table: appends what a statement did to the log, and rings once per transaction.
--
-- The rows come from the transition tables; a statement that touches 100,000 of them makes one call. They are recorded
-- in chunks of at most 128 rows and about 1 MB. A statement that touches one row takes a shorter way, in one plan of few
-- nodes: to begin one that divides into chunks costs as much as to insert the row. Where a condition speaks of the old
-- row of an insert or of the new one of a delete, a join that finds nothing stands in for it.
--
-- Old and new rows of an update are paired by their place in the transition tables, which are filled side by side: that
-- holds when the primary key changes, too. Where their numbers differ, a BEFORE trigger has swallowed a row on its way
-- to another partition, and the statement is recorded as deletes and inserts.
--
-- No name of the table stands in it: it may be renamed. SECURITY DEFINER, because those who write to the table need no
-- rights on the log. Everything is named with its schema, so that whoever calls cannot put something else in its place;
-- a search_path of its own costs as much as a tenth of an insert, and is set where code of others runs in here
-- (changes/fix_path).
--
-- A try at the door that is granted means that no reader waits (promin_postgres.bell).
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
AS $promin$
#variable_conflict use_column
DECLARE
    number bigint;
    has_deleted boolean;
    has_inserted boolean;
    is_logged boolean;
BEGIN
    IF TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN
        INSERT INTO {prefix}changes (stream, op, rows, bytes, new)
        SELECT {stream}, 'insert', 1, pg_catalog.pg_column_size(one.image), ARRAY[one.image]
        FROM (
            SELECT new.promin_image AS image
            FROM (SELECT {image} AS promin_image, promin_row.* FROM new_rows AS promin_row) AS new
            {no_old}
            WHERE {condition}
            LIMIT 1
        ) AS one
        WHERE NOT EXISTS (SELECT FROM new_rows OFFSET 1) AND {{changes/parts/rung}};
        IF FOUND THEN
            RETURN NULL;
        END IF;
        has_inserted := EXISTS (SELECT FROM new_rows OFFSET 1);
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'UPDATE' THEN
        INSERT INTO {prefix}changes (stream, op, rows, bytes, old, new)
        SELECT
            {stream}, 'update', 1,
            pg_catalog.pg_column_size(pair.old) OPERATOR(pg_catalog.+) pg_catalog.pg_column_size(pair.new),
            ARRAY[pair.old], ARRAY[pair.new]
        FROM (
            SELECT old.promin_image AS old, new.promin_image AS new
            FROM (SELECT {image} AS promin_image, promin_row.* FROM old_rows AS promin_row) AS old
            CROSS JOIN (SELECT {image} AS promin_image, promin_row.* FROM new_rows AS promin_row) AS new
            WHERE {condition}
            LIMIT 1
        ) AS pair
        WHERE NOT EXISTS (SELECT FROM old_rows OFFSET 1) AND NOT EXISTS (SELECT FROM new_rows OFFSET 1)
          AND {{changes/parts/rung}};
        IF FOUND THEN
            RETURN NULL;
        END IF;
        number := (SELECT pg_catalog.count(*) FROM old_rows);
        has_deleted := number OPERATOR(pg_catalog.<>) (SELECT pg_catalog.count(*) FROM new_rows);
        has_inserted := has_deleted;
        IF number OPERATOR(pg_catalog.>) 1 AND NOT has_deleted THEN
            INSERT INTO {prefix}changes (stream, op, rows, bytes, old, new)
            SELECT
                {stream}, 'update', pg_catalog.count(*), pg_catalog.sum(sized.size),
                pg_catalog.array_agg(sized.old), pg_catalog.array_agg(sized.new)
            FROM (
                SELECT
                    many.old, many.new, many.size,
                    (pg_catalog.row_number() OVER running OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog./) 128 AS chunk,
                    pg_catalog.sum(many.size) OVER running OPERATOR(pg_catalog./) 1048576 AS megabyte
                FROM (
                    SELECT
                        pair.old, pair.new,
                        pg_catalog.pg_column_size(pair.old) OPERATOR(pg_catalog.+) pg_catalog.pg_column_size(pair.new)
                            AS size
                    FROM (
                        SELECT old.promin_image AS old, new.promin_image AS new, new.promin_place AS place
                        FROM (
                            SELECT
                                {image} AS promin_image, pg_catalog.row_number() OVER () AS promin_place, promin_row.*
                            FROM old_rows AS promin_row
                        ) AS old
                        JOIN (
                            SELECT
                                {image} AS promin_image, pg_catalog.row_number() OVER () AS promin_place, promin_row.*
                            FROM new_rows AS promin_row
                        ) AS new ON new.promin_place OPERATOR(pg_catalog.=) old.promin_place
                        WHERE {condition}
                        ORDER BY new.promin_place
                    ) AS pair
                    OFFSET 0
                ) AS many
                WINDOW running AS (ROWS UNBOUNDED PRECEDING)
            ) AS sized
            GROUP BY sized.chunk, sized.megabyte
            ORDER BY sized.chunk, sized.megabyte;
            is_logged := FOUND;
        END IF;
    ELSIF TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN
        INSERT INTO {prefix}changes (stream, op, rows, bytes, old)
        SELECT {stream}, 'delete', 1, pg_catalog.pg_column_size(one.image), ARRAY[one.image]
        FROM (
            SELECT old.promin_image AS image
            FROM (SELECT {image} AS promin_image, promin_row.* FROM old_rows AS promin_row) AS old
            {no_new}
            WHERE {condition}
            LIMIT 1
        ) AS one
        WHERE NOT EXISTS (SELECT FROM old_rows OFFSET 1) AND {{changes/parts/rung}};
        IF FOUND THEN
            RETURN NULL;
        END IF;
        has_deleted := EXISTS (SELECT FROM old_rows OFFSET 1);
    ELSE
        INSERT INTO {prefix}changes (stream, op, rows, bytes, new)
        VALUES ({stream}, 'truncate', 1, 200,
                ARRAY[pg_catalog.json_build_object('schema', TG_TABLE_SCHEMA, 'table', TG_TABLE_NAME)]);
        is_logged := true;
    END IF;
    IF has_deleted THEN
        INSERT INTO {prefix}changes (stream, op, rows, bytes, old)
        SELECT {stream}, 'delete', pg_catalog.count(*), pg_catalog.sum(sized.size), pg_catalog.array_agg(sized.image)
        FROM (
            SELECT
                many.image, pg_catalog.pg_column_size(many.image) AS size,
                (pg_catalog.row_number() OVER running OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog./) 128 AS chunk,
                pg_catalog.sum(pg_catalog.pg_column_size(many.image)) OVER running OPERATOR(pg_catalog./) 1048576
                    AS megabyte
            FROM (
                SELECT old.promin_image AS image
                FROM (SELECT {image} AS promin_image, promin_row.* FROM old_rows AS promin_row) AS old
                {no_new}
                WHERE {condition}
                OFFSET 0
            ) AS many
            WINDOW running AS (ROWS UNBOUNDED PRECEDING)
        ) AS sized
        GROUP BY sized.chunk, sized.megabyte
        ORDER BY sized.chunk, sized.megabyte;
        is_logged := FOUND;
    END IF;
    IF has_inserted THEN
        INSERT INTO {prefix}changes (stream, op, rows, bytes, new)
        SELECT {stream}, 'insert', pg_catalog.count(*), pg_catalog.sum(sized.size), pg_catalog.array_agg(sized.image)
        FROM (
            SELECT
                many.image, pg_catalog.pg_column_size(many.image) AS size,
                (pg_catalog.row_number() OVER running OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog./) 128 AS chunk,
                pg_catalog.sum(pg_catalog.pg_column_size(many.image)) OVER running OPERATOR(pg_catalog./) 1048576
                    AS megabyte
            FROM (
                SELECT new.promin_image AS image
                FROM (SELECT {image} AS promin_image, promin_row.* FROM new_rows AS promin_row) AS new
                {no_old}
                WHERE {condition}
                OFFSET 0
            ) AS many
            WINDOW running AS (ROWS UNBOUNDED PRECEDING)
        ) AS sized
        GROUP BY sized.chunk, sized.megabyte
        ORDER BY sized.chunk, sized.megabyte;
        is_logged := is_logged OR FOUND;
    END IF;
    IF is_logged THEN
        PERFORM {{changes/parts/rung}};
    END IF;
    RETURN NULL;
END
$promin$
