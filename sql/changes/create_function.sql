-- The function behind the triggers of a table: appends what a statement did to the log, and rings once per transaction.
--
-- The rows come from the transition tables; a statement that touches 100,000 of them makes one call. They are recorded
-- in chunks of at most 128 rows and about 1 MB. Up to 128 rows of up to 8 kB take a shorter way, because to start a
-- plan that divides into chunks costs as much as to insert a row. Where an insert has no old row and a delete no new
-- one, a join that finds nothing stands in for it, so that the condition may speak of both.
--
-- Old and new rows of an update are paired by their place in the transition tables, which are filled side by side: that
-- holds when the primary key changes, too. Where their numbers differ, a BEFORE trigger has swallowed a row on its way
-- to another partition, and the statement is recorded as deletes and inserts.
--
-- No name of the table stands in it: it may be renamed. SECURITY DEFINER, because those who write to the table need no
-- rights on the log; hence the fixed search_path. A try at the door that is granted means that no reader waits
-- (promin_postgres.bell).
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path TO pg_catalog, pg_temp
AS $promin$
#variable_conflict use_column
DECLARE
    number bigint;
    size bigint;
    widest integer;
    old_images json[];
    new_images json[];
    is_paired boolean := false;
    is_logged boolean := false;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO {prefix}changes (stream, op, rows, bytes, new)
        VALUES ({stream}, 'truncate', 1, 200,
                ARRAY[json_build_object('schema', TG_TABLE_SCHEMA, 'table', TG_TABLE_NAME)]);
        is_logged := true;
    ELSIF TG_OP = 'UPDATE' THEN
        number := (SELECT count(*) FROM old_rows);
        IF number = 0 THEN
            RETURN NULL;
        END IF;
        is_paired := number = (SELECT count(*) FROM new_rows);
    END IF;
    IF is_paired THEN
        IF number <= 128 THEN
            SELECT
                count(*), sum(few.size), max(few.size),
                array_agg(few.old) FILTER (WHERE few.size <= 8192), array_agg(few.new) FILTER (WHERE few.size <= 8192)
            INTO number, size, widest, old_images, new_images
            FROM (
                SELECT
                    old.promin_image AS old, new.promin_image AS new,
                    pg_column_size(old.promin_image) + pg_column_size(new.promin_image) AS size
                FROM (
                    SELECT {image} AS promin_image, row_number() OVER () AS promin_place, promin_row.*
                    FROM old_rows AS promin_row
                ) AS old
                JOIN (
                    SELECT {image} AS promin_image, row_number() OVER () AS promin_place, promin_row.*
                    FROM new_rows AS promin_row
                ) AS new ON new.promin_place = old.promin_place
                WHERE {condition}
                OFFSET 0
            ) AS few;
        END IF;
        IF number > 0 AND widest <= 8192 THEN
            INSERT INTO {prefix}changes (stream, op, rows, bytes, old, new)
            VALUES ({stream}, 'update', number, size, old_images, new_images);
            is_logged := true;
        ELSIF number > 0 THEN
            INSERT INTO {prefix}changes (stream, op, rows, bytes, old, new)
            SELECT {stream}, 'update', count(*), sum(sized.size), array_agg(sized.old), array_agg(sized.new)
            FROM (
                SELECT
                    many.old, many.new, many.size, (row_number() OVER running - 1) / 128 AS chunk,
                    sum(many.size) OVER running / 1048576 AS megabyte
                FROM (
                    SELECT pair.old, pair.new, pg_column_size(pair.old) + pg_column_size(pair.new) AS size
                    FROM (
                        SELECT old.promin_image AS old, new.promin_image AS new, new.promin_place AS place
                        FROM (
                            SELECT {image} AS promin_image, row_number() OVER () AS promin_place, promin_row.*
                            FROM old_rows AS promin_row
                        ) AS old
                        JOIN (
                            SELECT {image} AS promin_image, row_number() OVER () AS promin_place, promin_row.*
                            FROM new_rows AS promin_row
                        ) AS new ON new.promin_place = old.promin_place
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
    END IF;
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND NOT is_paired) THEN
        SELECT count(*), sum(few.size), max(few.size), array_agg(few.image) FILTER (WHERE few.size <= 8192)
        INTO number, size, widest, old_images
        FROM (
            SELECT old.promin_image AS image, pg_column_size(old.promin_image) AS size
            FROM (SELECT {image} AS promin_image, promin_row.* FROM old_rows AS promin_row) AS old
            LEFT JOIN old_rows AS new ON false
            WHERE {condition}
            LIMIT 129
        ) AS few;
        IF number BETWEEN 1 AND 128 AND widest <= 8192 THEN
            INSERT INTO {prefix}changes (stream, op, rows, bytes, old)
            VALUES ({stream}, 'delete', number, size, old_images);
        ELSIF number > 0 THEN
            INSERT INTO {prefix}changes (stream, op, rows, bytes, old)
            SELECT {stream}, 'delete', count(*), sum(sized.size), array_agg(sized.image)
            FROM (
                SELECT
                    many.image, pg_column_size(many.image) AS size, (row_number() OVER running - 1) / 128 AS chunk,
                    sum(pg_column_size(many.image)) OVER running / 1048576 AS megabyte
                FROM (
                    SELECT old.promin_image AS image
                    FROM (SELECT {image} AS promin_image, promin_row.* FROM old_rows AS promin_row) AS old
                    LEFT JOIN old_rows AS new ON false
                    WHERE {condition}
                    OFFSET 0
                ) AS many
                WINDOW running AS (ROWS UNBOUNDED PRECEDING)
            ) AS sized
            GROUP BY sized.chunk, sized.megabyte
            ORDER BY sized.chunk, sized.megabyte;
        END IF;
        is_logged := is_logged OR number > 0;
    END IF;
    IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NOT is_paired) THEN
        SELECT count(*), sum(few.size), max(few.size), array_agg(few.image) FILTER (WHERE few.size <= 8192)
        INTO number, size, widest, new_images
        FROM (
            SELECT new.promin_image AS image, pg_column_size(new.promin_image) AS size
            FROM (SELECT {image} AS promin_image, promin_row.* FROM new_rows AS promin_row) AS new
            LEFT JOIN new_rows AS old ON false
            WHERE {condition}
            LIMIT 129
        ) AS few;
        IF number BETWEEN 1 AND 128 AND widest <= 8192 THEN
            INSERT INTO {prefix}changes (stream, op, rows, bytes, new)
            VALUES ({stream}, 'insert', number, size, new_images);
        ELSIF number > 0 THEN
            INSERT INTO {prefix}changes (stream, op, rows, bytes, new)
            SELECT {stream}, 'insert', count(*), sum(sized.size), array_agg(sized.image)
            FROM (
                SELECT
                    many.image, pg_column_size(many.image) AS size, (row_number() OVER running - 1) / 128 AS chunk,
                    sum(pg_column_size(many.image)) OVER running / 1048576 AS megabyte
                FROM (
                    SELECT new.promin_image AS image
                    FROM (SELECT {image} AS promin_image, promin_row.* FROM new_rows AS promin_row) AS new
                    LEFT JOIN new_rows AS old ON false
                    WHERE {condition}
                    OFFSET 0
                ) AS many
                WINDOW running AS (ROWS UNBOUNDED PRECEDING)
            ) AS sized
            GROUP BY sized.chunk, sized.megabyte
            ORDER BY sized.chunk, sized.megabyte;
        END IF;
        is_logged := is_logged OR number > 0;
    END IF;
    IF is_logged AND NOT pg_try_advisory_xact_lock_shared({door}) THEN
        PERFORM pg_notify({channel_text}, '');
    END IF;
    RETURN NULL;
END
$promin$
