-- Give a database its final name: the sign that it is complete.
ALTER DATABASE {database} RENAME TO {new_name}
