-- How many runs have ended, for the progress bar.
SELECT count(*) AS ended
FROM {prefix}workflows
WHERE status IN (4 /* COMPLETED */, 5 /* FAILED */)
