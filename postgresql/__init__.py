"""Django's PostgreSQL, with a bound on each wait for an answer: the ENGINE of the settings.

Stands below all other packages and knows none of them, so that whatever asks the database may say how long it may take.
"""
