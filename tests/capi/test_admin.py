"""The operator's admin of the LinkedIn side: everything can be read, nothing can be changed, and no token is shown."""

from datetime import UTC, datetime

import pytest
from django.urls import reverse

from capi import services
from capi.models import Attempt, Connection, ConversionEvent, ConversionRule
from capi.models.choices import RestCause
from tests.capi.conftest import send_all
from tests.conftest import TOKEN, make_lead, staff_client

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def web(company):
    return staff_client()


@pytest.mark.parametrize(
    "model", [Connection, ConversionRule, ConversionEvent, Attempt]
)
def test_rows_are_shown_and_can_not_be_changed(
    web, company, connected, make_rule, model
) -> None:
    make_rule()
    make_lead(company)
    send_all(company)
    name = f"admin:capi_{model._meta.model_name}"
    row = model.objects.get()

    listed = web.get(reverse(f"{name}_changelist"))
    shown = web.get(reverse(f"{name}_change", args=[row.pk]))
    changed = web.post(reverse(f"{name}_change", args=[row.pk]), {})
    added = web.get(reverse(f"{name}_add"))

    assert (listed.status_code, shown.status_code) == (200, 200)
    assert (changed.status_code, added.status_code) == (403, 403)


def test_why_a_line_rests_since_when_and_how_large_its_requests_may_be_is_shown(
    web, connected
) -> None:
    rests = {
        "resting_since": datetime(2026, 11, 3, 4, 5, tzinfo=UTC),
        "rest_cause": RestCause.TROUBLE,
    }
    Connection.objects.update(**rests, body_limit=262_144)

    page = web.get(
        reverse("admin:capi_connection_change", args=[Connection.objects.get().pk])
    ).content.decode()

    assert "3 Nov" in page, [line for line in page.splitlines() if "2026" in line]
    assert "LinkedIn has technical problems" in page
    assert "262144" in page


def test_nothing_of_the_token_is_shown(web, company) -> None:
    connection = services.save_token(company=company, token=TOKEN)

    page = web.get(
        reverse("admin:capi_connection_change", args=[connection.pk])
    ).content.decode()

    assert connection.sealed_token not in page
    assert TOKEN[-4:] not in page


def test_test_events_are_told_from_others_and_can_be_looked_at_alone(
    web, company, connected, make_rule
) -> None:
    services.send_test_event(rule=make_rule())
    make_lead(company)
    tested, real = ConversionEvent.objects.order_by("-is_test")
    address = reverse("admin:capi_conversionevent_changelist")

    pages = [
        web.get(address, asked).content.decode()
        for asked in ({}, {"is_test__exact": "1"})
    ]

    assert "column-is_test" in pages[0]
    assert [[event.event_id in page for event in (tested, real)] for page in pages] == [
        [True, True],
        [True, False],
    ]
    assert "?is_test__exact=0" in pages[0]
