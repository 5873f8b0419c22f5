"""A backup from before an erasure brings the person back, until the erasure is repeated from the log."""

import io
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from crm.models import Company, Lead
from crm.services.erasure import erase_lead
from crm.services.lead_merges import merge_leads
from leadmachine.log_format import SafeFormatter
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def log(caplog: Any) -> Any:
    caplog.set_level(logging.INFO, "crm.services.erasure")
    return caplog


def as_written(log: Any) -> str:
    """The lines on standard error, behind the name of the machine as journald puts it."""
    formatter = SafeFormatter("{asctime} {levelname} {name}: {message}", style="{")
    return "\n".join(f"Nov 27 16:52:21 crm gunicorn[7]: {formatter.format(record)}" for record in log.records)


@pytest.fixture
def repeat(log: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Gives the log to the command, and returns what it says."""

    def repeat(*options: str) -> str:
        said = io.StringIO()
        monkeypatch.setattr(sys, "stdin", io.StringIO(as_written(log)))
        call_command("repeat_erasures", *options, stdout=said)
        return said.getvalue()

    return repeat


def restored(lead: Lead) -> None:
    """The row as it was in the backup."""
    Lead.objects.filter(pk=lead.pk).update(erased_at=None)
    Lead.objects.filter(pk=lead.pk).update(first_name="Ada", email="ada@example.com")


def test_who_is_back_is_erased_again(company: Company, repeat: Callable[..., str]) -> None:
    erased, other = make_lead(company), make_lead(company, email="bea@example.com")
    erase_lead(lead=erased)
    restored(erased)

    said = repeat()

    assert said == f"Lead {erased.pk} of company {company.pk} was erased.\n"
    assert Lead.objects.get(pk=erased.pk).email == ""
    assert Lead.objects.get(pk=other.pk).email == "bea@example.com"
    assert repeat() == "No one has to be erased again.\n"


def test_an_erasure_whose_process_died_right_after_its_commit_is_repeated(
    company: Company, repeat: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lead = make_lead(company)
    with monkeypatch.context() as dying:
        dying.setattr(BaseDatabaseWrapper, "run_and_clear_commit_hooks", lambda self: self.run_on_commit.clear())
        erase_lead(lead=lead)
    restored(lead)

    repeat()

    assert Lead.objects.get().erased_at is not None


def test_who_is_merged_in_the_backup_is_named_with_the_lead_that_has_their_data(
    company: Company, repeat: Callable[..., str]
) -> None:
    erased, kept = make_lead(company), make_lead(company, email="bea@example.com")
    erase_lead(lead=erased)
    restored(erased)
    Lead.objects.filter(pk=erased.pk).update(merged_into=kept)

    with pytest.raises(CommandError, match=f"NOT erased: in this backup it is merged into lead {kept.pk}"):
        repeat()

    assert Lead.objects.get(pk=erased.pk).email == "ada@example.com"


def test_who_was_erased_with_the_lead_that_they_were_merged_into_is_so_again(
    company: Company, repeat: Callable[..., str]
) -> None:
    gone, kept = make_lead(company), make_lead(company, email="bea@example.com")
    merge_leads(kept=kept, gone=gone)
    erase_lead(lead=kept)
    for lead in (gone, kept):
        restored(lead)

    assert repeat() == f"Lead {kept.pk} of company {company.pk} was erased.\n"

    assert not Lead.objects.filter(erased_at=None).exists()


def test_a_dry_run_says_who_and_changes_nothing(company: Company, repeat: Callable[..., str]) -> None:
    lead = make_lead(company)
    erase_lead(lead=lead)
    restored(lead)

    said = repeat("--dry-run")

    assert said == f"Lead {lead.pk} of company {company.pk} would be erased.\n"
    assert Lead.objects.get(pk=lead.pk).email == "ada@example.com"


def test_a_lead_that_has_the_number_since_stays(company: Company, repeat: Callable[..., str]) -> None:
    lead = make_lead(company)
    erase_lead(lead=lead)
    restored(lead)
    Lead.objects.filter(pk=lead.pk).update(created_at=timezone.now())

    repeat()

    assert Lead.objects.get(pk=lead.pk).email == "ada@example.com"


def test_the_line_names_nobody(company: Company, log: Any) -> None:
    erase_lead(lead=make_lead(company))

    assert "Erased lead" in as_written(log)
    assert "ada" not in as_written(log).lower()
