"""The doctor on the workers: each leaves a sign of its round."""

from datetime import UTC, datetime, timedelta

import pytest

from capi.diagnostics import queue
from capi.models import Heartbeat
from capi.models.functions import database_now
from leadmachine import timers
from leadmachine.timers import Sweeper

pytestmark = pytest.mark.django_db

ROUND = datetime(2026, 11, 25, 6, 10, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("later", "level", "sentence"),
    [
        (
            timedelta(seconds=119),
            "green",
            "The workers last checked for due events on 25 Nov, 06:10:07.",
        ),
        (
            timedelta(seconds=120),
            "amber",
            "The workers are late: they last checked for due events on 25 Nov, 06:10:07.",
        ),
        (
            timedelta(minutes=15),
            "red",
            "No worker has checked for due events since 25 Nov, 06:10:07.",
        ),
    ],
)
def test_the_last_round_is_told_and_missed(later, level, sentence) -> None:
    Heartbeat.objects.create(name="sweep", beat_at=ROUND)

    (found,) = queue.worker_findings(ROUND + later)

    assert (found.level, found.sentence) == (level, sentence)


def test_where_no_worker_ever_ran_it_says_so() -> None:
    (found,) = queue.worker_findings(ROUND)

    assert (found.level, found.sentence) == (
        "red",
        "No worker has ever checked for due events.",
    )


def test_all_workers_share_one_row_and_the_last_one_counts() -> None:
    Heartbeat.objects.create(name="sweep", beat_at=ROUND)

    Heartbeat.objects.beat("sweep")
    Heartbeat.objects.beat("sweep")

    (row,) = Heartbeat.objects.all()
    assert abs(database_now() - row.beat_at) < timedelta(seconds=10)


def test_a_sweeper_leaves_its_sign(monkeypatch) -> None:
    monkeypatch.setattr(timers, "close_old_connections", lambda: None)
    sweeper = Sweeper()
    # Before its second round.
    monkeypatch.setattr(Sweeper, "seconds", lambda each: each.stop() or 0)

    sweeper._run()

    (found,) = queue.worker_findings(database_now())
    assert found.level == "green"
