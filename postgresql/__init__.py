"""Django's PostgreSQL backend with a time limit for each statement: the ENGINE of the settings.

It imports no other package of ours, so that any code that queries the database can set its limit. `own_server` starts a
PostgreSQL for `make run` and the tests.
"""
