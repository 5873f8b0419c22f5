"""Thousands of keys as one parameter, and thousands of rows in one answer, on each database."""

import pytest

from capi.models import ConversionEvent
from capi.pipeline import keys
from capi.pipeline.fetch import fetch
from capi.pipeline.take import COLUMNS
from tests.conftest import make_deal, make_lead

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


@pytest.fixture
def events(company, connected, make_rule) -> list[int]:
    make_rule("lead_created")
    make_rule("deal_created")
    make_deal(make_lead(company), amount="1250.50", currency="EUR")
    make_lead(company, email="")
    return list(ConversionEvent.objects.order_by("pk").values_list("pk", flat=True))


def test_rows_come_as_the_orm_gives_them(events) -> None:
    rows = ConversionEvent.objects.order_by("pk")

    assert fetch(rows, COLUMNS) == list(rows.values_list(*COLUMNS))
    assert fetch(rows.filter(pk=0), COLUMNS) == []


def test_keys_are_one_parameter(events) -> None:
    first, second, third = events
    found = ConversionEvent.objects.filter(pk__one_of=[third, first, first, 0]).order_by("pk")

    assert list(found.values_list("pk", flat=True)) == [first, third]
    assert not ConversionEvent.objects.filter(pk__one_of=[]).exists()
    assert list(keys.without(ConversionEvent.objects.all(), [first, third]).values_list("pk", flat=True)) == [second]
    assert keys.without(ConversionEvent.objects.all(), []).count() == 3
