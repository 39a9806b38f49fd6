-- Move completed tasks to the history.
WITH {{steps/parts/completed}}
SELECT s.id
FROM settled s
