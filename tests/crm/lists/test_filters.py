"""The filters of lists, whichever list they are of."""

from datetime import date

import pytest
from django.utils import timezone

from crm.forms.boards import BoardFilter
from crm.forms.funnels import FunnelFilter
from crm.lists.filter_types import SinceFilter, TextChoiceFilter, UntilFilter
from crm.lists.registry import LISTS
from crm.models import Lead
from tests.conftest import make_lead

FILTER_SETS = (
    BoardFilter,
    FunnelFilter,
    *(listed.filters for listed in LISTS.values()),
)


@pytest.mark.parametrize("filters", FILTER_SETS)
def test_each_has_a_label(filters):
    assert [
        name
        for name, each in filters.base_filters.items()
        if each.label == "[invalid name]"
    ] == []


@pytest.mark.django_db
@pytest.mark.parametrize("kind", [SinceFilter, UntilFilter])
@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles"])
@pytest.mark.parametrize("day", [date.min, date.max])
def test_the_first_and_the_last_day_can_be_asked_for(company, kind, zone, day):
    make_lead(company)

    with timezone.override(zone):
        found = kind("created_at", "Created").filter(Lead.objects.all(), day)

        assert found.exists() == ((kind is SinceFilter) == (day == date.min))


@pytest.mark.django_db
def test_a_source_may_be_called_null(company):
    lead = make_lead(company, source="null")
    make_lead(company, source="")

    assert [
        *TextChoiceFilter(field_name="source").filter(Lead.objects.all(), "null")
    ] == [lead]
