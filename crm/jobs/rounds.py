"""The kinds of jobs, and the rounds in which a worker does their chunks."""

from collections import defaultdict
from collections.abc import Callable
from random import shuffle
from typing import Any, Final

from crm.jobs.runner import JobRunner

# One for each kind. An app appends its own at start-up.
RUNNERS: Final[list[JobRunner[Any]]] = []


def work_through(go_on: Callable[[], bool]) -> bool:
    """Work on all jobs, until none has a chunk to do, or `go_on` returns False. Then it returns True: more may wait.

    Each company gets one chunk a round, of one of its jobs: neither a company with many jobs nor a kind with long
    chunks keeps others waiting. In random order: a job that always fails ends the round, and must not block the others
    in the next one too.
    """
    while go_on():
        if not sum(_turn(jobs, go_on) for jobs in _by_company()):
            return False
    return True


Jobs = list[tuple[JobRunner[Any], int]]


def _by_company() -> list[Jobs]:
    found: defaultdict[int, Jobs] = defaultdict(list)
    for runner in RUNNERS:
        for company_id, pk in runner.waiting().values_list("company", "pk"):
            found[company_id].append((runner, pk))
    turns = list(found.values())
    shuffle(turns)
    for jobs in turns:
        shuffle(jobs)
    return turns


def _turn(jobs: Jobs, go_on: Callable[[], bool]) -> bool:
    """Do a chunk of the first of these jobs that has one. Returns False if none has."""
    return any(go_on() and runner.advance(pk) for runner, pk in jobs)
