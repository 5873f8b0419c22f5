"""A result that a worker is writing at this moment is not overwritten by what a person changes."""

import threading

import pytest
from django.db import connection, transaction

from capi.models import ConversionEvent
from crm.models import Lead
from tests.conftest import make_lead
from tests.faults.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def while_a_result_is_written(change, *, state: str) -> None:
    """Start `change` while a transaction holds the event's row, write the result, and let both end."""

    def run() -> None:
        try:
            change()
        finally:
            connection.close()

    changing = threading.Thread(target=run)
    with transaction.atomic():
        ConversionEvent.objects.update(state=state, next_attempt_at=None)
        changing.start()
        wait_for(
            somebody_waits,
            seconds=30,
            told="The change did not come to wait for the row.",
        )
    changing.join()


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


def test_who_opts_out_while_linkedins_yes_is_written_was_sent(
    company, connected, make_rule
) -> None:
    make_rule()
    lead = make_lead(company)

    while_a_result_is_written(
        lambda: Lead.objects.filter(pk=lead.pk).update(share_with_ad_platforms=False),
        state="accepted",
    )

    assert ConversionEvent.objects.get().state == "accepted"


def test_an_address_does_not_wake_what_was_cancelled_at_that_moment(
    company, connected, make_rule
) -> None:
    make_rule()
    lead = make_lead(company, email="")

    while_a_result_is_written(
        lambda: Lead.objects.filter(pk=lead.pk).update(email="kestrel@example.com"),
        state="cancelled",
    )

    assert ConversionEvent.objects.get().state == "cancelled"
