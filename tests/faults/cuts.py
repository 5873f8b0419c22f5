"""Cuts connections again and again while two workers deliver and people save."""

import time
from collections.abc import Callable
from contextlib import ExitStack

from django.db.models import Max

from capi.models import ConversionEvent
from capi.models.choices import OPEN_STATES
from tests.faults import figures
from tests.faults.processes import wait_for
from tests.faults.world import RECOVERY_SECONDS, Saver, World, make_leads

ANSWER_SECONDS = 10  # the web answers within these, whatever is cut
PEOPLE = 3


def cut_under_load(
    world: World, cut: Callable[[], object], *, rounds: int, what: str
) -> list[Saver]:
    """Cut `rounds` times, then wait until everything is sent. Returns the people who saved meanwhile.

    Fails if they wait for more than ANSWER_SECONDS, if anything that was due at a cut is delivered later than the
    bound, or if a process had to be replaced. Each cut is counted as `what`.
    """
    company = world.connect()
    world.start_web()
    for name in ("worker1", "worker2"):
        world.start_worker(name)
        world.wait_for_worker(name)
    pids, api = world.pids(), world.api(company)
    with ExitStack() as stack:
        people = [
            stack.enter_context(Saver(api, start=1_000_000 * number))
            for number in range(PEOPLE)
        ]
        for number in range(rounds):
            make_leads(company, 200, start=200 * number)
            # Each cut meets the workers at another point.
            time.sleep(0.1 * (number % 5))
            newest = ConversionEvent.objects.aggregate(newest=Max("pk"))["newest"]
            before = [len(person.saved) for person in people]
            cut()
            figures.count(what)
            wait_for(
                lambda before=before: all(
                    len(p.saved) > saved + 5
                    for p, saved in zip(people, before, strict=True)
                ),
                seconds=ANSWER_SECONDS,
                told="people can save again",
            )
            due = ConversionEvent.objects.filter(pk__lte=newest, state__in=OPEN_STATES)
            wait_for(
                lambda due=due: not due.exists(),
                seconds=RECOVERY_SECONDS + 2,
                told=f"what was due at cut {number} is delivered (I7)",
            )
    world.wait_for_the_end()
    assert world.pids() == pids
    assert max(person.slowest for person in people) <= ANSWER_SECONDS
    assert set().union(*(person.lost for person in people)) == set()
    return people
