"""/metrics, for Prometheus. docs/operating.md lists the metrics.

    a request ──▶ requests.py: how long it took, counted by each web process in its own file (processes.py)
    a scrape  ──▶ access.py: is it allowed? ──▶ scrape.py ──┬─▶ the files of all web processes of this machine
                                                            └─▶ figures.py: what the database knows

What the database knows is read from it at each scrape: no worker counts anything, and a restart loses nothing.
"""
