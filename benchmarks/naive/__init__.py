"""The baseline: what a developer would write from the usual recipe.

A Celery task per event that looks up the rule and the lead, hashes the address, POSTs with `requests.post` and inserts
one row into a log. `tuned` is the same with the two things that everybody finds: persistent database connections
(`CONN_MAX_AGE=None`) and one `requests.Session` per worker.
"""
