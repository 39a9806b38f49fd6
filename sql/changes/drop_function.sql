-- Drop the function of a table with the triggers that call it, wherever they are.
DROP FUNCTION IF EXISTS {function}() CASCADE
