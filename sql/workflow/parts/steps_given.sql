-- The steps of a definition, as encode_steps writes them: one json array, because text[] cannot hold lists of different
-- lengths.
json_to_recordset(%(steps)s::text::json) AS s (
    step_name text, position integer, step_type smallint, depends_on text[], dependents text[], metadata json, queue text,
    priority smallint, pause interval, wake_at timestamptz
)
