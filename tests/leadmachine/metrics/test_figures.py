"""What /metrics says about the database: every figure, without anything about companies or people."""

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone

from capi.models import (
    BACKUP,
    REHEARSAL,
    Attempt,
    Connection,
    ConversionEvent,
    Heartbeat,
    Housekeeping,
    Mail,
)
from capi.models.choices import MailKind, Reason, RestCause, State
from crm.jobs.rounds import RUNNERS
from crm.models import AccountMail, Company, DataExport
from leadmachine import timers, version
from leadmachine.metrics import figures
from tests.conftest import make_lead
from tests.leadmachine.metrics.scraping import TOKEN, families, scrape, values
from tests.plans import analyse, plans, read, read_whole, rows_read

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)
NOW = timezone.now


@pytest.fixture(autouse=True)
def _open(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN


def figure(name: str, *labels: str) -> float:
    return values(scrape(), name)[labels]


def test_the_version_is_a_label() -> None:
    assert values(scrape(), "leadmachine_info") == {(version.VERSION,): 1}


@pytest.fixture
def events(company, make_rule, token) -> list[ConversionEvent]:
    """Four events: accepted after 20 and 40 s, rejected, and pending for two minutes."""
    make_rule()
    for number in range(4):
        make_lead(company, email=f"ada{number}@example.com")
    found = [*ConversionEvent.objects.order_by("pk")]
    began = NOW() - timedelta(minutes=10)
    states = [(State.ACCEPTED, 20), (State.ACCEPTED, 40), (State.REJECTED, 1)]
    for event, (state, seconds) in zip(found, states, strict=False):
        settled = began + timedelta(seconds=seconds)
        ConversionEvent.objects.filter(pk=event.pk).update(
            state=state,
            reason=Reason.DATA_REFUSED if state == State.REJECTED else "",
            created_at=began,
            settled_at=settled,
            next_attempt_at=None,
        )
    ConversionEvent.objects.filter(pk=found[3].pk).update(
        next_attempt_at=NOW() - timedelta(minutes=2)
    )
    return found


def test_events_count_by_state_and_reason(events) -> None:
    assert values(scrape(), "leadmachine_recent_events") == {
        ("", "accepted"): 2,
        ("data_refused", "rejected"): 1,
        ("", "pending"): 1,
    }
    assert figure("leadmachine_pending_events") == 1


def test_events_of_earlier_and_test_events_do_not_count(events) -> None:
    ConversionEvent.objects.filter(pk=events[0].pk).update(created_at=NOW() - 2 * HOUR)
    ConversionEvent.objects.filter(pk=events[1].pk).update(is_test=True)

    found = values(scrape(), "leadmachine_recent_events")
    assert ("", "accepted") not in found
    assert figure("leadmachine_acceptance_seconds_gcount") == 0


def test_the_time_from_a_change_to_its_acceptance_is_a_histogram(events) -> None:
    buckets = values(scrape(), "leadmachine_acceptance_seconds_bucket")

    assert [buckets[(bound,)] for bound in ("15", "30", "35", "45", "+Inf")] == [
        0, 1, 1, 2, 2,
    ]  # fmt: skip
    assert figure("leadmachine_acceptance_seconds_gcount") == 2
    assert figure("leadmachine_acceptance_seconds_gsum") == pytest.approx(60)


def test_the_age_of_the_queue_is_that_of_the_oldest_event_that_may_be_sent(
    events, token
) -> None:
    assert figure("leadmachine_queue_age_seconds") == pytest.approx(120, abs=30)

    Connection.objects.update(is_paused=True, paused_reason=Reason.TOKEN_REFUSED)
    assert figure("leadmachine_queue_age_seconds") == 0


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, ("idle", "")),
        ({"sealed_token": ""}, ("no_token", "")),
        ({"sends_from": "elsewhere"}, ("held_back", "")),
        (
            {"is_paused": True, "paused_reason": Reason.TOKEN_REFUSED},
            ("paused", "token_refused"),
        ),
        (
            {"next_attempt_at": NOW() + HOUR, "rest_cause": RestCause.TROUBLE},
            ("resting", "trouble"),
        ),
        ({"leased_until": NOW() + HOUR}, ("sending", "")),
    ],
)
def test_lanes_count_by_state_and_reason(
    token, columns: dict[str, Any], expected: tuple[str, str]
) -> None:
    Connection.objects.update(**columns)

    state, reason = expected
    assert values(scrape(), "leadmachine_lanes") == {(reason, state): 1}


def test_a_lease_whose_worker_has_vanished_counts(token) -> None:
    lease = "0" * 32
    Connection.objects.update(lease_id=lease, leased_until=NOW() + HOUR)
    assert figure("leadmachine_lapsed_leases") == 0

    Connection.objects.update(leased_until=NOW() - HOUR)
    assert figure("leadmachine_lapsed_leases") == 1


def test_attempts_count_by_status(company, make_rule) -> None:
    rule = make_rule()
    for status in (201, 201, 503, None):
        Attempt.objects.create(
            company=company, rule=rule, linkedin_id="1", api_version="202609",
            http_status=status,
        )  # fmt: skip

    assert values(scrape(), "leadmachine_recent_attempts") == {
        ("201",): 2, ("503",): 1, ("none",): 1,
    }  # fmt: skip


def test_jobs_count_by_kind_and_state_with_the_age_of_the_oldest(sales) -> None:
    DataExport.objects.create(
        company=sales.company, made_by=sales.user, created_at=NOW() - HOUR
    )

    assert values(scrape(), "leadmachine_jobs") == {("dataexport", "waiting"): 1}
    age = figure("leadmachine_job_age_seconds", "dataexport", "waiting")
    assert age == pytest.approx(3600, abs=60)
    assert len(RUNNERS) >= 4


def test_mails_count_by_kind_with_the_age_of_the_oldest(ops) -> None:
    AccountMail.objects.create(content="", created_at=NOW() - HOUR)
    AccountMail.objects.create(content="")
    Mail.objects.create(company=ops.company, user=ops.user, news=MailKind.WEEK)

    assert values(scrape(), "leadmachine_mails") == {("account",): 2, ("alert",): 1}
    assert figure("leadmachine_mail_age_seconds", "account") == pytest.approx(
        3600, abs=60
    )


def test_connections_count_next_to_their_limit() -> None:
    limit = figure("leadmachine_database_connections_limit")

    assert 0 <= figure("leadmachine_database_connections") <= limit


class Round(timers.Repeating):
    name = "post"
    done = 0

    def seconds(self) -> float:
        return 0.001

    def round(self, number: int) -> None:
        self.done = number + 1
        if number == 3:
            self.stop()
        if number == 2:
            raise RuntimeError("a round that fails")


def test_each_timer_notes_its_rounds_but_not_each_of_them(
    monkeypatch, django_assert_num_queries
) -> None:
    monkeypatch.setattr(timers, "close_old_connections", lambda: None)
    timer = Round()

    with django_assert_num_queries(1):
        timer._run()

    assert timer.done == 4
    assert 0 <= figure("leadmachine_beat_age_seconds", "post") < 60


def test_a_timer_whose_rounds_fail_notes_none(monkeypatch) -> None:
    monkeypatch.setattr(timers, "close_old_connections", lambda: None)
    timer = Round()
    monkeypatch.setattr(timer, "round", lambda number: timer.stop() or 1 / 0)

    timer._run()

    assert not Heartbeat.objects.exists()


def test_the_age_of_the_last_housekeeping() -> None:
    assert figure("leadmachine_housekeeping_age_seconds") == 0

    Housekeeping.objects.create(pk=1, done_at=NOW() - HOUR)
    age = figure("leadmachine_housekeeping_age_seconds")
    assert age == pytest.approx(3600, abs=60)


@pytest.mark.parametrize("name", [BACKUP, REHEARSAL])
def test_the_age_of_the_last_backup_is_absent_until_there_is_one(name: str) -> None:
    figure_name = f"leadmachine_{name}_age_seconds"
    assert values(scrape(), figure_name) == {}

    Heartbeat.objects.create(name=name, beat_at=NOW() - HOUR)

    assert figure(figure_name) == pytest.approx(3600, abs=60)
    assert (name,) not in values(scrape(), "leadmachine_beat_age_seconds")


def test_while_the_database_is_away_the_rest_is_there(monkeypatch) -> None:
    def refuse(*args: Any) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(connection, "ensure_connection", refuse)
    monkeypatch.setattr(connection, "cursor", refuse)

    text = scrape()

    assert values(text, "leadmachine_database_up") == {(): 0}
    assert values(text, "leadmachine_info") == {(version.VERSION,): 1}
    assert "leadmachine_lanes" not in families(text)


def test_no_figure_is_about_a_company_or_a_person(company, sales, events) -> None:
    Company.objects.filter(pk=company.pk).update(name="Kestrel", slug="kestrel")
    text = scrape().lower()

    for word in ("kestrel", "ada", sales.user.email, "@"):
        assert word not in text
    labels = {
        label
        for family in families(text).values()
        for sample in family.samples
        for label in sample.labels
    }
    assert labels <= {
        "version", "state", "reason", "status", "le", "kind", "timer", "route",
    }  # fmt: skip


@pytest.mark.thorough
def test_a_scrape_reads_no_more_of_a_long_log_than_its_newest_rows(
    company, make_rule, settings
) -> None:
    settings.LINKEDIN_SANDBOX = True
    make_lead(company)
    make_rule()
    call_command("make_events", company=company.slug, count=60_000, stdout=StringIO())
    analyse()

    with plans(is_measured=True) as found:
        figures.collect()

    # The table of attempts is small here: it has one for each batch.
    large = {"capi_conversionevent", "crm_crmevent", "crm_lead"}
    assert "capi_conversionevent" in read(found)
    assert read_whole(found) & large == set()
    for plan in found:
        assert rows_read(plan, "capi_conversionevent") <= 10_000 + 100
        assert rows_read(plan, "capi_attempt") <= 10_000
