"""Upgrades of the database, and their rehearsal on a copy.

    rehearsing.py: a backup, restored into a database of its own ──▶ migrate ──▶ Rehearsal
        checksums.py: of every column by company, before and after
        timing.py: how long each migration took, and which tables it locked

docs/operating.md says how an operator uses `manage.py upgrade`.
"""
