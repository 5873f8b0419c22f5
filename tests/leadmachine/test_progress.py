"""/progressz: what it says in each state. tests/faults/test_progress.py brings them about."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from capi.models import SWEEP, Attempt, Connection, ConversionEvent, Heartbeat
from capi.models.choices import Reason, RestCause
from crm.accounts.mails import queue_message
from crm.models import AccountMail
from leadmachine import progress
from tests.conftest import make_lead
from tests.faults.processes import free_port

pytestmark = pytest.mark.django_db

LATE = timedelta(minutes=2)
DUE = "Events are due, and none of them has been sent lately."
DOWN = "LinkedIn can't be reached, or answers with server errors only."
PROXIED = "Something on the way answers instead of LinkedIn."
ALL_PAUSED = "All sending is paused, until manage.py resume_sending."
COPIED = "Nothing is sent from a restored or copied database, until manage.py resume_sending."
RETIRED = "LinkedIn has retired LINKEDIN_API_VERSION: all sending is on hold."
NO_WORKER = "No worker has checked for due events lately: is one running?"
MAILS = "Mails wait, because the mail server does not answer."


@pytest.fixture(autouse=True)
def _sweep() -> None:
    Heartbeat.objects.beat(SWEEP)


def assert_says(*problems: str) -> None:
    """Fail unless the probe says just this."""
    answer = Client().get("/progressz", HTTP_HOST="10.0.0.5:8000")
    expected = (
        (503, {"status": "held up", "problems": [*problems]})
        if problems
        else (200, {"status": "ok"})
    )
    assert (answer.status_code, answer.json()) == expected


@pytest.fixture
def due(company, token, make_rule) -> ConversionEvent:
    """An event that has been due for too long, in a lane that may send."""
    make_rule("lead_created")
    make_lead(company)
    event = ConversionEvent.objects.get()
    ConversionEvent.objects.update(next_attempt_at=timezone.now() - LATE)
    return event


def attempt(event: ConversionEvent, status: int | None, *, ago: timedelta) -> None:
    Attempt.objects.create(
        company_id=event.company_id,
        rule_id=event.rule_id,
        started_at=timezone.now() - ago,
        http_status=status,
    )


def test_without_anything_due_all_is_well() -> None:
    assert_says()


@pytest.mark.parametrize("has_beat", [True, False], ids=["late", "never"])
def test_without_a_sweep(has_beat: bool) -> None:
    Heartbeat.objects.all().delete()
    if has_beat:
        Heartbeat.objects.create(name=SWEEP, beat_at=timezone.now() - LATE)

    assert_says(NO_WORKER)


def test_with_events_that_are_due_and_not_sent(due: ConversionEvent) -> None:
    assert_says(DUE)


def test_a_long_queue_that_is_being_sent_is_no_problem(due: ConversionEvent) -> None:
    attempt(due, 201, ago=timedelta(seconds=5))

    assert_says()


def test_requests_of_long_ago_do_not_count(due: ConversionEvent) -> None:
    attempt(due, 201, ago=LATE)

    assert_says(DUE)


def rest(cause: RestCause, *, since: timedelta) -> None:
    """Let the lane rest until its next attempt, some minutes from now."""
    now = timezone.now()
    Connection.objects.update(
        rest_cause=cause, resting_since=now - since, next_attempt_at=now + LATE
    )


@pytest.mark.parametrize(
    ("cause", "problem"), [(RestCause.TROUBLE, DOWN), (RestCause.UNCLEAR, PROXIED)]
)
def test_while_linkedin_is_away_though_attempts_are_minutes_apart(
    due: ConversionEvent, cause: RestCause, problem: str
) -> None:
    attempt(due, 503, ago=timedelta(hours=1))
    rest(cause, since=LATE)
    assert_says(problem)

    attempt(due, 201, ago=timedelta(seconds=1))
    assert_says()


def test_a_single_failure_is_no_problem(due: ConversionEvent) -> None:
    rest(RestCause.TROUBLE, since=timedelta(seconds=1))

    assert_says()


def test_an_outage_without_events_is_no_problem(due: ConversionEvent) -> None:
    rest(RestCause.TROUBLE, since=LATE)
    ConversionEvent.objects.update(state="cancelled", next_attempt_at=None)

    assert_says()


def test_too_many_requests_of_one_company_are_no_problem(due: ConversionEvent) -> None:
    rest(RestCause.THROTTLED_OFTEN, since=LATE)

    assert_says()


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"is_paused": True, "paused_reason": Reason.VERSION_RETIRED}, RETIRED),
        ({"is_paused": True, "paused_reason": Reason.ALL_PAUSED}, ALL_PAUSED),
        ({"sends_from": "elsewhere"}, COPIED),
    ],
)
def test_while_everything_is_held(
    due: ConversionEvent, columns: dict[str, Any], problem: str
) -> None:
    Connection.objects.update(**columns)

    assert_says(problem)


def test_a_refused_token_of_one_company_is_no_problem(due: ConversionEvent) -> None:
    attempt(due, 401, ago=timedelta(seconds=5))
    Connection.objects.update(is_paused=True, paused_reason=Reason.TOKEN_REFUSED)

    assert_says()


@pytest.fixture
def late_mail() -> None:
    queue_message(EmailMessage("Confirm", "…", to=["ada@example.com"]))
    AccountMail.objects.update(created_at=timezone.now() - LATE)


def test_mails_while_their_server_is_away(late_mail: None, settings: Any) -> None:
    settings.EMAIL_BACKEND = "leadmachine.smtp.SmtpBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()

    assert_says(MAILS)


def test_a_late_mail_alone_is_no_problem(late_mail: None) -> None:
    """Its recipient's server may keep refusing it."""
    assert_says()


def test_clocks_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    minute_ahead = timezone.now() + timedelta(minutes=1)
    monkeypatch.setattr(progress.timezone, "now", lambda: minute_ahead)

    assert progress.problems() == [
        "The clocks of this machine and of the database differ by more than 30 seconds."
    ]


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:1/0",
        "sentinel://host",
        "redis://h:99999",
        "redis://h/0?foo=1",
    ],
)
def test_without_redis(settings: Any, url: str) -> None:
    settings.REDIS_URL = url

    assert_says(
        "Redis does not answer. Workers send what is due by themselves, but later than usual."
    )


def test_without_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OperationalError("connection refused to 10.0.0.7 for user leadmachine")

    monkeypatch.setattr(progress, "database_now", refuse)

    assert_says("The database can't be reached, or did not answer in time.")
