"""Whether something may have been saved, for what an error page says."""

import pytest
from django.db import DatabaseError, connection, transaction

from crm.models import Company
from postgresql import saving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _from_now_on(company: Company) -> None:
    saving.begin()


def rename(name: str = "New") -> None:
    Company.objects.update(name=name)


def fail() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")


def test_nothing_is_saved_before_the_first_write() -> None:
    with transaction.atomic():
        list(Company.objects.select_for_update())

    assert not saving.may_have_saved()


def test_a_write_counts_once_it_is_committed() -> None:
    with transaction.atomic():
        rename()
        assert not saving.may_have_saved()

    assert saving.may_have_saved()
    saving.begin()
    assert not saving.may_have_saved()


def test_a_write_outside_a_transaction_counts_at_once() -> None:
    rename()

    assert saving.may_have_saved()


@pytest.mark.parametrize(
    "statement",
    [
        "WITH old AS (SELECT 1) UPDATE crm_company SET name = 'x'",
        "WITH gone AS (DELETE FROM crm_company WHERE false RETURNING id) SELECT * FROM gone",
        "\n  INSERT INTO crm_company SELECT * FROM crm_company WHERE false",
    ],
)
def test_so_does_one_in_raw_sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)

    assert saving.may_have_saved()


def test_a_query_that_locks_rows_is_no_write() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "WITH own AS (SELECT id FROM crm_company FOR NO KEY UPDATE) SELECT * FROM own"
        )
        cursor.execute(
            "WITH own AS (SELECT id FROM crm_company FOR UPDATE) SELECT * FROM own"
        )

    assert not saving.may_have_saved()


def test_what_is_rolled_back_does_not_count() -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        rename()
        fail()
    with transaction.atomic():
        list(Company.objects.all())

    assert not saving.may_have_saved()


def test_nor_does_a_statement_that_the_server_refuses() -> None:
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute("UPDATE crm_company SET name = NULL")

    assert not saving.may_have_saved()


def test_a_part_that_is_rolled_back_leaves_the_rest() -> None:
    with transaction.atomic():
        rename()
        with pytest.raises(DatabaseError), transaction.atomic():
            Company.objects.update(name=None)

    assert saving.may_have_saved()


def test_a_commit_or_a_write_without_an_answer_may_have_saved() -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        rename()
        end_connection()
    is_known = not saving.may_have_saved()
    connection.close()

    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute(
            "WITH gone AS (DELETE FROM crm_company RETURNING pg_terminate_backend(pg_backend_pid())) SELECT 1"
        )

    assert not is_known  # the COMMIT found a connection that had ended
    assert saving.may_have_saved()


def end_connection() -> None:
    """End it unnoticed: the next statement, here the COMMIT, finds out."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    finally:
        other.close()
