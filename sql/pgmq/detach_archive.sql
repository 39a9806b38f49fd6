-- Let the archive of a queue outlive the extension. Newer versions of pgmq do nothing here but warn.
SELECT pgmq.detach_archive(%(queue)s::text) AS done
