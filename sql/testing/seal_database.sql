-- Let nobody connect to a template: it cannot be cloned while somebody is, autovacuum included.
ALTER DATABASE {database} WITH ALLOW_CONNECTIONS false
