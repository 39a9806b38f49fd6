-- The log of changes is compressed by lz4 where the server has it: half the time of pglz, which bulk loads wait for.
DO $promin$
BEGIN
    ALTER TABLE {prefix}changes ALTER old SET COMPRESSION lz4, ALTER new SET COMPRESSION lz4;
EXCEPTION
    WHEN feature_not_supported THEN NULL;
END
$promin$;
