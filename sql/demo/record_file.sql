-- Records the measures of a file.
-- Idempotent: a step that was killed between this and its checkpoint is executed again, and must not record twice.
INSERT INTO {prefix}demo_records (workflow_id, path, lines, words, bytes, sha256)
VALUES (%(workflow_id)s::text, %(path)s::text, %(lines)s::bigint, %(words)s::bigint, %(bytes)s::bigint,
        %(sha256)s::text)
ON CONFLICT (workflow_id) DO NOTHING
