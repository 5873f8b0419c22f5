"""The baseline: what a developer would write following the usual recipe.

One Celery task per event queries the rule and the lead, hashes the address, POSTs with `requests.post` and inserts one
row into a log. The tuned variant adds the two usual optimisations: persistent database connections
(`CONN_MAX_AGE=None`) and one `requests.Session` per worker.
"""
