-- Ask whether the server is still there, and whether this is the backend that the connection began with: behind a
-- transaction pooler it is not, and nothing would be heard.
SELECT pg_backend_pid() AS pid
