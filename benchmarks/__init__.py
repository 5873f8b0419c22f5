"""The throughput of LeadMachine compared with the usual recipe, in the same run on the same machine.

`python -m benchmarks` (`make bench`) starts its own PostgreSQL, Valkey and sandbox. It measures LeadMachine and the
baseline in turn, prints a table and writes `benchmarks/results/latest.json`. `docs/performance.md` has the details.
"""
