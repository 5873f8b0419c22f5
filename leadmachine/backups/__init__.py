"""Backups: the database and the files of leads, deals and notes, in a folder that is complete or not there.

    making.py ──▶ one snapshot of the database ──┬─▶ programs.py: pg_dump writes database.dump
                                                 ├─▶ stored_files.py: the files that its rows name, files.tar
                                                 └─▶ manifest.py: version, keys, and row_counts.py
    restoring.py ◀── contents.py: SHA256SUMS, checked before anything is written

docs/operating.md says how an operator uses them, and what a backup can't bring back.
"""
