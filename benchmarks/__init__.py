"""What LeadMachine moves, beside what the usual recipe moves, in the same run on the same machine.

`python -m benchmarks` (`make bench`) starts its own PostgreSQL, Valkey and a stand-in for LinkedIn, measures ours and
the baseline in turn, prints a table and writes `benchmarks/results/latest.json`. `docs/performance.md` says what each
figure means.
"""
