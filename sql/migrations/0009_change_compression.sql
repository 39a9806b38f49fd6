-- The log of changes is compressed by lz4 where the server has it: a bulk load takes a tenth less time than with pglz.
DO $promin$
BEGIN
    ALTER TABLE {prefix}changes ALTER old SET COMPRESSION lz4, ALTER new SET COMPRESSION lz4;
EXCEPTION
    WHEN feature_not_supported THEN NULL;
END
$promin$;
