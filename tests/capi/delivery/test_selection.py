"""Thousands of keys as one parameter, and thousands of rows in one answer, on each database."""

import pytest
from django.db import connection
from django.db.models import QuerySet

from capi.delivery.lane import due_events
from capi.delivery.selection import Row, columns, fetch
from capi.models import ConversionEvent, ConversionRule, lookups
from crm.models import Lead
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db
COLUMNS = columns(with_value=True)


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


def test_the_address_of_a_lead_that_has_opted_out_is_not_read(events) -> None:
    QuerySet(Lead).update(share_with_ad_platforms=False)

    assert [
        Row(*row).email
        for row in fetch(ConversionEvent.objects.order_by("pk"), COLUMNS)
    ] == [None] * 3


def test_keys_are_one_parameter(events) -> None:
    first, second, third = events
    found = ConversionEvent.objects.filter(
        pk__one_of=[third, first, first, 0]
    ).order_by("pk")

    assert list(found.values_list("pk", flat=True)) == [first, third]
    assert not ConversionEvent.objects.filter(pk__one_of=[]).exists()
    assert (
        ConversionEvent.objects.get(pk__one_of=lookups.IdList([second, 0])).pk == second
    )
    assert list(
        due_events(behind=lookups.IdList([first, third])).values_list("pk", flat=True)
    ) == [second]
    assert due_events(behind=lookups.NO_IDS).count() == 2  # the third has no address


def test_a_batch_is_read_in_its_order_by_one_process_without_sorting_or_joining_what_is_due(
    events,
) -> None:
    rule = ConversionRule.objects.get(crm_event="lead_created")
    batch = due_events().filter(rule=rule).order_by("next_attempt_at", "pk")[:5]
    with connection.cursor() as cursor:
        cursor.execute(
            "SET LOCAL random_page_cost = 1000000; SET LOCAL seq_page_cost = 0"
        )
    # Reading all and sorting it looks cheaper now, whatever other tests left behind.
    assert "Sort" in batch.explain()

    with connection.execute_wrapper(explained):
        plan = "\n".join(line for (line,) in fetch(batch, COLUMNS))

    assert "Sort" not in plan
    assert "Nested Loop" not in plan  # it may compare every row with every other
    assert "Index Scan using events_due" in plan


@pytest.mark.django_db(transaction=True)
def test_how_it_is_read_holds_for_nothing_else(events) -> None:
    fetch(ConversionEvent.objects.all(), COLUMNS)

    with connection.cursor() as cursor:
        cursor.execute("SHOW enable_sort")
        assert cursor.fetchone() == ("on",)


def explained(execute, sql, params, many, context):
    return execute(
        f"EXPLAIN {sql}" if sql.startswith("SELECT") else sql, params, many, context
    )


def test_the_hashes_of_a_request_are_stored_as_they_are() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT attstorage FROM pg_attribute WHERE attrelid = 'capi_attempt'::regclass"
                       " AND attname = 'sent_hashes'")  # fmt: skip
        assert cursor.fetchone() == ("e",)  # EXTERNAL
