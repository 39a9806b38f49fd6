-- The function behind the triggers of a table: appends what a statement did to the log, and rings once per transaction.
--
-- The rows come from the transition tables; a statement that touches 100,000 of them makes one call. They are recorded
-- in chunks of at most 128 rows and about 1 MB, by the widest of them. Old and new rows are paired by their place in
-- the transition tables, which are filled side by side: that holds when the primary key changes, too. Where their
-- numbers differ, a BEFORE trigger has swallowed a row on its way to another partition, and the statement is recorded
-- as deletes and inserts. Where an insert has no old row and a delete no new one, a join that finds nothing stands in
-- for it, so that the condition may speak of both.
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
    widest bigint;
    chunk integer;
    is_paired boolean := false;
    is_logged boolean := false;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO {prefix}changes (stream, op, rows, bytes, new)
        VALUES ({stream}, 'truncate', 1, 200,
                ARRAY[json_build_object('schema', TG_TABLE_SCHEMA, 'table', TG_TABLE_NAME)]);
        is_logged := true;
    ELSE
        IF TG_OP <> 'INSERT' THEN
            SELECT max(pg_column_size(promin_row.*)) INTO widest FROM old_rows AS promin_row;
        END IF;
        IF TG_OP <> 'DELETE' THEN
            SELECT GREATEST(widest, max(pg_column_size(promin_row.*))) INTO widest FROM new_rows AS promin_row;
        END IF;
        IF widest IS NULL THEN
            RETURN NULL;
        END IF;
        chunk := GREATEST(1, LEAST(128, 1048576 / widest));
        IF TG_OP = 'UPDATE' THEN
            is_paired := (SELECT count(*) FROM old_rows) = (SELECT count(*) FROM new_rows);
        END IF;
        IF is_paired THEN
            INSERT INTO {prefix}changes (stream, op, rows, bytes, old, new)
            SELECT {stream}, 'update', count(*), 2 * widest * count(*), array_agg(image.old ORDER BY image.place),
                   array_agg(image.new ORDER BY image.place)
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
            ) AS image
            GROUP BY (image.place - 1) / chunk
            ORDER BY (image.place - 1) / chunk;
            is_logged := is_logged OR FOUND;
        END IF;
        IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND NOT is_paired) THEN
            INSERT INTO {prefix}changes (stream, op, rows, bytes, old)
            SELECT {stream}, 'delete', count(*), widest * count(*), array_agg(image.old ORDER BY image.place)
            FROM (
                SELECT old.promin_image AS old, old.promin_place AS place
                FROM (
                    SELECT {image} AS promin_image, row_number() OVER () AS promin_place, promin_row.*
                    FROM old_rows AS promin_row
                ) AS old
                LEFT JOIN old_rows AS new ON false
                WHERE {condition}
            ) AS image
            GROUP BY (image.place - 1) / chunk
            ORDER BY (image.place - 1) / chunk;
            is_logged := is_logged OR FOUND;
        END IF;
        IF TG_OP = 'INSERT' OR (TG_OP = 'UPDATE' AND NOT is_paired) THEN
            INSERT INTO {prefix}changes (stream, op, rows, bytes, new)
            SELECT {stream}, 'insert', count(*), widest * count(*), array_agg(image.new ORDER BY image.place)
            FROM (
                SELECT new.promin_image AS new, new.promin_place AS place
                FROM (
                    SELECT {image} AS promin_image, row_number() OVER () AS promin_place, promin_row.*
                    FROM new_rows AS promin_row
                ) AS new
                LEFT JOIN new_rows AS old ON false
                WHERE {condition}
            ) AS image
            GROUP BY (image.place - 1) / chunk
            ORDER BY (image.place - 1) / chunk;
            is_logged := is_logged OR FOUND;
        END IF;
    END IF;
    IF is_logged THEN
        IF NOT pg_try_advisory_xact_lock_shared({door}) THEN
            PERFORM pg_notify({channel_text}, '');
        END IF;
    END IF;
    RETURN NULL;
END
$promin$
