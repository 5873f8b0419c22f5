"""What the housekeeping and the dashboard read of one company's log doesn't grow with the events of other companies."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from capi.models import Attempt, ConversionEvent, ConversionRule
from capi.models.functions import first_id_since
from capi.services.retention import attempts_in_use, ended_events
from capi.services.statistics import recount_days
from crm.models import Company
from tests.conftest import make_lead
from tests.plans import analyse, plans, rows_read

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

EACH = 5_000
TABLE = ConversionEvent._meta.db_table
A_MONTH_AGO = timezone.now() - timedelta(days=30)


@pytest.fixture
def quiet(company, other_company, make_rule, settings):
    """A company whose events lie between those of two others."""
    settings.LINKEDIN_SANDBOX = True
    for owner in (
        other_company,
        company,
        Company.objects.create(name="Fabrikam Inc", slug="fabrikam"),
    ):
        make_lead(owner)
        make_rule(company=owner)
        call_command("make_events", company=owner.slug, count=EACH, stdout=StringIO())
    # As after a delivery: PostgreSQL has to expect that each entry of an index leads to another page of the table.
    ConversionEvent.objects.update(attempts=1)
    analyse()
    return company


def test_the_first_event_since_a_moment(quiet) -> None:
    with plans(is_measured=True) as found:
        assert first_id_since(quiet.pk, A_MONTH_AGO)

    assert 0 < rows_read(found, TABLE) < 100


def test_counting_the_days_again(quiet) -> None:
    with plans(is_measured=True) as found:
        recount_days()

    # The events once, and the searches for the first of each day.
    assert 3 * EACH <= rows_read(found, TABLE) < 10 * EACH


def test_finding_what_is_old(quiet) -> None:
    before = timezone.now() - timedelta(days=365)  # no event is that old
    attempt = Attempt.objects.create(
        company=quiet, rule=ConversionRule.objects.get(company=quiet)
    )

    with plans(is_measured=True) as found:
        assert not any(events.order_by("pk")[:1_000] for events in ended_events(before))
        assert attempts_in_use(before)([attempt.pk]) == set()

    assert 0 < rows_read(found, TABLE) < 1_000


def test_the_dashboard(quiet, ops, client_as) -> None:
    with plans(is_measured=True) as found:
        assert client_as(ops).get(reverse("dashboard")).status_code == 200

    assert 0 < rows_read(found, TABLE) < 100
