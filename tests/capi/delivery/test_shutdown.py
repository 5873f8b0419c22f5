"""A worker that is about to end: what is in flight is written, what is due stays due, and no lane stays leased."""

from collections.abc import Iterator

import pytest
from django.core import mail

from capi import tasks
from capi.alerts import notifications
from capi.delivery import http_session, shutdown
from capi.diagnostics import checkups
from capi.linkedin.sandbox.faults import Fault
from capi.models import Connection, Mail
from capi.services.statistics import refresh_counts
from leadmachine.timers import Sweeper
from tests.capi.conftest import requests_made, send_all, states
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    shutdown.reset()


@pytest.fixture
def due(connected, make_rule, company) -> None:
    """Two events that are due."""
    make_rule()
    for number in range(2):
        make_lead(company, email=f"ada{number}@example.com")


def nobody_holds_the_lane() -> bool:
    return not Connection.objects.exclude(lease_id=None).exists()


def test_nothing_new_is_sent_and_the_rest_is_left_to_the_next(
    due, company, sandbox
) -> None:
    shutdown.begin()

    turn = send_all(company)

    assert (turn.requests, turn.more_in) == (0, 0.0)
    assert requests_made(sandbox) == []
    assert states(company) == ["pending", "pending"]
    assert nobody_holds_the_lane()


def test_the_request_in_flight_is_written_down_and_is_the_last(
    due, company, sandbox, settings, monkeypatch
) -> None:
    settings.BATCH_SIZE = 1
    send = http_session.send
    monkeypatch.setattr(
        http_session, "send", lambda **request: (shutdown.begin(), send(**request))[1]
    )

    send_all(company)

    assert requests_made(sandbox) == [201]
    assert states(company) == ["accepted", "pending"]
    assert nobody_holds_the_lane()


def test_a_batch_that_is_cut_into_parts_stops_between_them(
    due, company, sandbox, monkeypatch
) -> None:
    sandbox.faults.add(
        Fault(status=400, body='{"message":"Something is off.","status":400}')
    )
    send = http_session.send
    monkeypatch.setattr(
        http_session, "send", lambda **request: (shutdown.begin(), send(**request))[1]
    )

    send_all(company)

    assert requests_made(sandbox) == [400]
    assert states(company) == ["pending", "pending"]
    assert nobody_holds_the_lane()


def test_its_task_has_another_worker_woken(due, company, monkeypatch) -> None:
    woken: list[tuple[int, float]] = []
    monkeypatch.setattr(
        tasks, "wake", lambda pk, after_seconds: woken.append((pk, after_seconds))
    )
    shutdown.begin()

    tasks.deliver(company.pk)

    assert woken == [(company.pk, 0.0)]


def test_a_sweep_wakes_and_delivers_nothing_more(
    due, company, sandbox, monkeypatch
) -> None:
    woken: list[int] = []
    monkeypatch.setattr("leadmachine.timers.wake", woken.append)
    shutdown.begin()

    Sweeper().sweep()

    assert woken == []
    assert requests_made(sandbox) == []


def test_no_mail_no_check_up_and_no_count_is_begun(
    due, company, admin, monkeypatch
) -> None:
    examined: list[object] = []
    monkeypatch.setattr(checkups, "check_up", examined.append)
    letter = Mail.objects.create(company=company, user=admin.user)
    shutdown.begin()

    notifications.send_due()
    checkups.check_up_due(seconds=60)
    refresh_counts()

    letter.refresh_from_db()
    assert mail.outbox == []
    assert letter.tries == 0
    assert examined == []
    assert not company.day_counts.exists()
