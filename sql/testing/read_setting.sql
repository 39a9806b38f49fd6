-- The value of a setting, NULL where there is no such setting.
SELECT current_setting(%(name)s::text, true) AS value
