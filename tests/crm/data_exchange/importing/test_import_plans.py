"""PostgreSQL checks each row of a file at the same cost, even before it has statistics on the import."""

from collections.abc import Iterator

import pytest
from django.db import connection, transaction

from crm.data_exchange.importing import storing
from crm.data_exchange.importing.undoing import undo_chunk
from crm.data_exchange.importing.work import advance
from crm.models import Company, Lead, LeadImportRow, Membership, RowUndo, many_rows
from crm.models.job import JobState
from crm.models.roles import Role
from tests.conftest import join, make_lead
from tests.crm.data_exchange.importing.uploading import run, upload, work_on
from tests.plans import analyse, plans, rows_read

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]

ROWS, KNOWN = 1_500, 100


@pytest.fixture(autouse=True)
def _as_in_a_large_table() -> Iterator[None]:
    """In a table as small as here, PostgreSQL might scan all rows instead of an index, whatever the query."""
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        yield
        cursor.execute("RESET enable_seqscan")


def _file(word: str) -> str:
    rows = (f"Row {number},{word}{number}@example.com" for number in range(ROWS))
    return "\n".join(("Name,E-mail", *rows))


def test_a_second_file_is_checked_without_reading_its_rows_again_for_each_known_lead(
    sales: Membership, other_company: Company
) -> None:
    first = join(other_company, Role.SALES, email="first@example.com")
    run(upload(first, _file("first")), first)
    analyse("crm_lead", "crm_leadimportrow")  # as autovacuum does, now and then
    for number in range(KNOWN):
        make_lead(sales.company, email=f"second{number}@example.com", phone="")
    second = upload(sales, _file("second"))
    assert second.planned["new"] == ROWS - KNOWN

    with plans(is_measured=True) as found, transaction.atomic():
        second.state, second.reached, second.planned = JobState.RUNNING, 0, {}
        second.save()
        assert advance(second.pk)

    assert rows_read(found, "crm_leadimportrow") < 5 * ROWS
    assert rows_read(found, "crm_lead") < 5 * (ROWS + KNOWN)
    assert work_on(second).planned["new"] == ROWS - KNOWN
    assert LeadImportRow.objects.count() == 2 * ROWS
    assert Lead.objects.count() == ROWS + KNOWN


def test_postgresql_counts_the_rows_of_a_large_file(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without statistics it reads all of 60,000 rows for each chunk: a tenth of its time for the import."""
    monkeypatch.setattr(storing, "CHANGED_ROWS", ROWS - 1)

    upload(sales, _file("counted"))

    with connection.cursor() as cursor:
        cursor.execute(many_rows.COUNTED, ["crm_leadimportrow"])
        assert cursor.fetchone() == (ROWS,)


def test_an_undo_reads_no_row_again_for_each_chunk(sales: Membership) -> None:
    done = run(upload(sales, _file("undone")), sales)
    analyse("crm_lead", "crm_leadimportrow")

    with plans(is_measured=True) as found, transaction.atomic():
        while undo_chunk(done, 100):
            pass

    assert rows_read(found, "crm_leadimportrow") < 10 * ROWS
    assert not Lead.objects.exists()
    assert set(LeadImportRow.objects.values_list("undo", flat=True)) == {
        RowUndo.REMOVED
    }
