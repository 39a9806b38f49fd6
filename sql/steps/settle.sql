-- Move tasks that are done with to the history.
WITH {{steps/parts/settled}}
SELECT s.id
FROM settled s
