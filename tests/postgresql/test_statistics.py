"""PostgreSQL renews its statistics on the tables of the companies, however large these are."""

from collections.abc import Iterator

import pytest
from django.db import connection

from crm.models import CrmEvent, Deal, Lead, LeadImportRow, Membership, Note, Task
from crm.models.many_rows import count_now
from postgresql.statistics import CHANGED_ROWS, SEARCH_STATISTICS_TARGET
from tests.crm.data_exchange.importing.uploading import run, upload

COUNTED = "SELECT reltuples FROM pg_class WHERE relname = %s"
TARGET = "SELECT attstattarget FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'search_text'"
OPTIONS = "SELECT coalesce(reloptions, '{}') FROM pg_class WHERE relname = %s"


def _ask(sql: str, table: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(sql, [table])
        return cursor.fetchone()[0]


@pytest.fixture
def leads_left_alone(transactional_db: None) -> Iterator[None]:
    """Without PostgreSQL's own autovacuum, which counts whenever it likes."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE crm_lead SET (autovacuum_enabled = off)")
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE crm_lead RESET (autovacuum_enabled)")


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Lead, Deal, Task, Note, CrmEvent, LeadImportRow])
def test_it_counts_after_so_many_changes_and_not_after_a_share_of_the_table(
    model,
) -> None:
    options = _ask(OPTIONS, model._meta.db_table)

    assert f"autovacuum_analyze_threshold={CHANGED_ROWS}" in options
    assert "autovacuum_analyze_scale_factor=0" in options


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Lead, Deal])
def test_it_keeps_more_of_the_texts_that_are_searched(model) -> None:
    assert _ask(TARGET, model._meta.db_table) == SEARCH_STATISTICS_TARGET


@pytest.mark.usefixtures("leads_left_alone")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("at_least", "is_counted"), [(99, True), (100, False)])
def test_it_counts_the_leads_at_the_end_of_a_large_import(
    sales: Membership, monkeypatch: pytest.MonkeyPatch, at_least: int, is_counted: bool
) -> None:
    monkeypatch.setattr("crm.data_exchange.importing.work.CHANGED_ROWS", at_least)
    count_now(Lead, using="default")
    rows = "".join(f"Row {number},row{number}@example.com\n" for number in range(100))
    before = _ask(COUNTED, "crm_lead")

    run(upload(sales, f"Name,E-mail\n{rows}"), sales)

    assert (_ask(COUNTED, "crm_lead"), Lead.objects.count()) == (
        100 if is_counted else before,
        100,
    )
