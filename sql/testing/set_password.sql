-- Store a password of the superuser of a server of our own: a verifier is stored as it is, so that the server logs none.
ALTER ROLE postgres PASSWORD {verifier}
