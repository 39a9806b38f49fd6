-- Move tasks that are done with to the history, and give the seats of their concurrency keys back.
WITH {{steps/parts/settled}}, leavers AS (
    SELECT s.concurrency_key, s.holds_seat
    FROM settled s
), {{steps/parts/leave_seats}}
SELECT s.id
FROM settled s
