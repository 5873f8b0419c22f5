"""Statements known to be slow get more time, even where the rest of the web waits for 8 seconds: on both sides."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from capi.delivery.backfill import preview
from capi.models import ConversionEvent, Housekeeping
from capi.selectors.event_actions import (
    ChosenEvents,
    chosen_by_filter,
    preview_of_cancelling,
    preview_of_retrying,
)
from capi.selectors.events import EventFilter
from capi.selectors.reconcile import reconcile
from leadmachine.housekeeping import keep_house_if_due
from postgresql import bounds
from tests.conftest import staff_client

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def longest() -> Iterator[Callable[[], float | None]]:
    """Returns the longest time that any statement so far was given, in seconds. The thread is bound like the web's."""
    waited: list[float | None] = [None]

    def note(execute, sql, params, many, context):
        if not sql.startswith("SET statement_timeout"):  # this one only sets the limit
            waited.append(bounds.seconds())
        return execute(sql, params, many, context)

    bounds.bound_thread(8)
    with connection.execute_wrapper(note):
        yield lambda: max(filter(None, waited))
    assert bounds.seconds() == 8
    del bounds._bound.seconds
    connection.close()


def test_a_file(longest, admin, client_as) -> None:
    response = client_as(admin).post(reverse("audit_export"))
    b"".join(response.streaming_content)

    assert longest() == 60


def test_the_reconcile_of_a_week(longest, company) -> None:
    reconcile(company.pk, date(2026, 11, 23), None)

    assert longest() == 60


def test_what_a_backfill_would_do(longest, make_rule) -> None:
    preview(
        make_rule(), since=timezone.now() - timedelta(days=90), until=timezone.now()
    )

    assert longest() == 60


@pytest.mark.parametrize(
    "ask",
    [
        lambda company_id: chosen_by_filter(
            company_id, EventFilter(), None, retry=True
        ),
        lambda company_id: preview_of_retrying(
            company_id, ChosenEvents([], ConversionEvent.objects.none())
        ),
        lambda company_id: preview_of_cancelling(
            company_id, ChosenEvents([], ConversionEvent.objects.none())
        ),
    ],
)
def test_the_question_before_a_retry_or_a_cancel(ask, longest, company) -> None:
    ask(company.pk)

    assert longest() == 60


def test_what_an_operator_does_in_the_administration(longest) -> None:
    staff_client().get("/admin/crm/company/")

    assert longest() == 60


def test_housekeeping(longest) -> None:
    Housekeeping.objects.create(pk=1, done_at=timezone.now() - timedelta(days=2))

    assert keep_house_if_due()

    assert longest() == 600


def test_all_else_has_no_more_than_the_rest_of_the_web(
    longest, admin, client_as
) -> None:
    assert client_as(admin).get(reverse("dashboard")).status_code == 200

    assert longest() == 8
