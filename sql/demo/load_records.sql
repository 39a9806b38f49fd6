-- What the runs recorded, to be compared file by file.
SELECT path, lines, words, bytes, sha256
FROM {prefix}demo_records
ORDER BY path
