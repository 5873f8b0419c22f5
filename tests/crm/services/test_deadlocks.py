"""If two transactions lock the same rows in different orders, the one that PostgreSQL ends is run again."""

import psycopg
import pytest
from django.db import IntegrityError, OperationalError, transaction

from crm.models.lead import LeadMerged
from crm.services.deadlocks import tried_again


def refused_by(
    cause: Exception | None, kind: type[Exception] = OperationalError
) -> Exception:
    error = kind("refused")
    error.__cause__ = cause
    return error


def failing(*errors: Exception):
    """A transaction that fails with these errors, one per attempt, and then succeeds; and its attempts."""
    left, tries = list(errors), []

    @tried_again
    def work(word: str) -> str:
        tries.append(word)
        if left:
            raise left.pop(0)
        return word

    return work, tries


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "error",
    [
        refused_by(psycopg.errors.DeadlockDetected()),
        refused_by(psycopg.errors.SerializationFailure()),
        refused_by(psycopg.errors.UniqueViolation(), IntegrityError),
    ],
)
def test_what_was_ended_for_the_sake_of_another_is_tried_once_more(error) -> None:
    work, tries = failing(error)
    assert (work("done"), tries) == ("done", ["done", "done"])

    work, tries = failing(error, error)
    with pytest.raises(type(error)):
        work("done")
    assert len(tries) == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "error",
    [refused_by(psycopg.errors.AdminShutdown()), refused_by(None), LeadMerged()],
)
def test_other_errors_are_raised(error) -> None:
    work, tries = failing(error)

    with pytest.raises(type(error)):
        work("done")

    assert len(tries) == 1


@pytest.mark.django_db(transaction=True)
def test_a_part_of_a_larger_transaction_is_not_tried_again() -> None:
    work, tries = failing(refused_by(psycopg.errors.DeadlockDetected()))

    with pytest.raises(OperationalError), transaction.atomic():
        work("done")

    assert len(tries) == 1
