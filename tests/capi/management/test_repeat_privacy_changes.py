"""A backup brings back what was ended after it was made, until the privacy log is repeated."""

import io
import logging
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import QuerySet
from django.utils import timezone

from capi import services
from capi.models import Backfill, ConversionEvent
from capi.services import backfills
from crm.models import (
    AuditEntry,
    Company,
    CrmEvent,
    Deal,
    Lead,
    LeadStatus,
    privacy_log,
)
from crm.services import undo
from crm.services.erasure import erase_lead
from crm.services.lead_merges import merge_leads
from leadmachine.log_format import SafeFormatter
from tests.capi.conftest import received, send_all, states
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db(transaction=True)

NOTHING = (
    "There is no privacy change in this log. Check that it goes back to the backup.\n"
)


@pytest.fixture
def log(caplog: Any) -> Any:
    caplog.set_level(logging.INFO, privacy_log.logger.name)
    return caplog


def as_written(log: Any) -> str:
    """The lines on standard error, behind the name of the machine as journald puts it."""
    formatter = SafeFormatter("{asctime} {levelname} {name}: {message}", style="{")
    return "\n".join(
        f"Nov 27 16:52:21 crm gunicorn[7]: {formatter.format(record)}"
        for record in log.records
    )


@pytest.fixture
def repeat(log: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, int]]:
    """Gives the log to the command, and returns what it counts, without zeros."""

    def repeat(*options: str) -> dict[str, int]:
        said = io.StringIO()
        monkeypatch.setattr(
            sys, "stdin", io.TextIOWrapper(io.BytesIO(as_written(log).encode()))
        )
        call_command("repeat_privacy_changes", *options, stdout=said)
        rows = [
            line.rsplit(maxsplit=1)
            for line in said.getvalue().splitlines()
            if line[-1].isdigit()
        ]
        return {label.strip(): int(count) for label, count in rows if count != "0"}

    return repeat


def restored(*leads: Lead, **values: Any) -> None:
    """The rows as they were in the backup. Nothing is logged about this."""
    rows = QuerySet(Lead).filter(pk__in=[lead.pk for lead in leads])
    was = {
        "first_name": "Ada",
        "email": "ada@example.com",
        "share_with_ad_platforms": True,
        "erased_at": None,
    }
    rows.update(**{**was, **values})


def test_who_is_back_is_erased_again(company: Company, repeat: Any, log: Any) -> None:
    erased, other = make_lead(company), make_lead(company, email="bea@example.com")
    erase_lead(lead=erased)
    restored(erased)

    assert repeat() == {"people erased": 1}

    assert Lead.objects.get(pk=erased.pk).email == ""
    assert Lead.objects.get(pk=other.pk).email == "bea@example.com"
    assert repeat() == {}


def test_who_is_merged_in_the_backup_is_named_with_the_lead_that_has_their_data(
    company: Company, repeat: Any
) -> None:
    erased, kept = make_lead(company), make_lead(company, email="bea@example.com")
    erase_lead(lead=erased)
    restored(erased)
    Lead.objects.filter(pk=erased.pk).update(merged_into=kept)

    with pytest.raises(
        CommandError,
        match=f"NOT erased: in this backup it is merged into lead {kept.pk}",
    ):
        repeat()

    assert Lead.objects.get(pk=erased.pk).email == "ada@example.com"


def test_who_was_erased_with_the_lead_that_they_were_merged_into_is_so_again(
    company: Company, repeat: Any
) -> None:
    gone, kept = make_lead(company), make_lead(company, email="bea@example.com")
    merge_leads(kept=kept, gone=gone)
    erase_lead(lead=kept)
    restored(gone, kept)

    repeat()

    assert not Lead.objects.filter(erased_at=None).exists()


def test_a_dry_run_counts_and_changes_nothing(company: Company, repeat: Any) -> None:
    erased, opted_out = make_lead(company), make_lead(company)
    erase_lead(lead=erased)
    Lead.objects.filter(pk=opted_out.pk).update(share_with_ad_platforms=False)
    restored(erased, opted_out)

    assert repeat("--dry-run") == {"people erased": 1, "people opted out": 1}

    assert Lead.objects.get(pk=erased.pk).email == "ada@example.com"
    assert Lead.objects.get(pk=opted_out.pk).share_with_ad_platforms


def test_a_lead_that_has_the_number_since_stays(company: Company, repeat: Any) -> None:
    erased, opted_out = make_lead(company), make_lead(company)
    erase_lead(lead=erased)
    Lead.objects.filter(pk=opted_out.pk).update(share_with_ad_platforms=False)
    restored(erased, opted_out)
    Lead.objects.update(created_at=timezone.now() + timedelta(seconds=1))

    assert repeat() == {}

    assert set(Lead.objects.values_list("email", "share_with_ad_platforms")) == {
        ("ada@example.com", True)
    }


def test_who_opted_out_is_so_again_and_is_not_sent(
    company: Company, connected: Any, sandbox: Any, make_rule: Any, repeat: Any
) -> None:
    make_rule()
    lead, other = make_lead(company), make_lead(company)
    Lead.objects.filter(pk=lead.pk).update(share_with_ad_platforms=False)
    restored(lead)
    ConversionEvent.objects.update(
        state="pending", reason="", settled_at=None, next_attempt_at=timezone.now()
    )

    assert repeat() == {"people opted out": 1}

    send_all(company)
    assert states(company) == ["skipped", "accepted"]
    assert [each["eventId"] for each in received(sandbox)] == [
        ConversionEvent.objects.get(lead=other).event_id
    ]


def test_who_opted_in_again_stays_as_in_the_backup(
    company: Company, repeat: Any
) -> None:
    lead, out_in_the_backup = make_lead(company), make_lead(company)
    for is_shared in (False, True):
        Lead.objects.update(share_with_ad_platforms=is_shared)
    restored(lead)
    restored(out_in_the_backup, share_with_ad_platforms=False)

    assert repeat() == {}

    assert Lead.objects.get(pk=lead.pk).share_with_ad_platforms
    assert not Lead.objects.get(pk=out_in_the_backup.pk).share_with_ad_platforms


def test_who_is_merged_in_the_backup_is_opted_out_with_the_lead_that_has_their_data(
    company: Company, repeat: Any
) -> None:
    lead, kept = make_lead(company), make_lead(company)
    Lead.objects.filter(pk=lead.pk).update(share_with_ad_platforms=False)
    restored(lead)
    Lead.objects.filter(pk=lead.pk).update(merged_into=kept)

    repeat()

    assert not Lead.objects.filter(share_with_ad_platforms=True).exists()


def test_what_was_deleted_is_deleted_again(company: Company, repeat: Any) -> None:
    lead, other = make_lead(company), make_lead(company)
    deal, other_deal = make_deal(lead), make_deal(other)
    rows = [
        Lead.objects.get(pk=lead.pk),
        Deal.objects.get(pk=deal.pk),
        Deal.objects.get(pk=other_deal.pk),
    ]
    Lead.objects.get(pk=lead.pk).delete()
    Deal.objects.get(pk=other_deal.pk).delete()
    for row in rows:
        row.save_base(raw=True)  # as it was in the backup

    assert repeat() == {"deals deleted": 2, "leads deleted": 1}

    assert list(Lead.objects.all()) == [other]
    assert not Deal.objects.exists()
    assert AuditEntry.objects.filter(action="lead_deleted").count() == 1


def test_events_cancelled_by_a_person_and_changes_undone_are_so_again(
    company: Company,
    connected: Any,
    sandbox: Any,
    make_rule: Any,
    repeat: Any,
    client_as: Any,
    admin: Any,
) -> None:
    make_rule()
    make_rule("lead_qualified", "104013")
    cancelled, undone = make_lead(company), make_lead(company)
    first = ConversionEvent.objects.get(lead=cancelled)
    services.cancel_events(company=company, pks=[first.pk])
    send_all(company)
    qualified = LeadStatus.objects.get(company=company, meaning="qualified")
    client_as(admin).post(f"/leads/{undone.pk}/status/", {"status": qualified.pk})
    event = CrmEvent.objects.get(lead=undone, kind="lead_qualified")
    undo.undo(company=company, action=event.action)
    CrmEvent.objects.update(taken_back_at=None)
    back = ConversionEvent.objects.filter(state="cancelled")
    assert (
        back.update(
            state="pending", reason="", settled_at=None, next_attempt_at=timezone.now()
        )
        == 2
    )

    assert repeat() == {"conversion events cancelled": 1, "changes taken back": 1}

    send_all(company)
    assert len(received(sandbox)) == 1
    assert sorted(ConversionEvent.objects.values_list("reason", flat=True)) == [
        "",
        "cancelled_by_hand",
        "taken_back",
    ]


def test_a_retried_event_stays_as_in_the_backup(
    company: Company, connected: Any, make_rule: Any, repeat: Any
) -> None:
    make_rule()
    make_lead(company)
    pk = ConversionEvent.objects.get().pk
    services.cancel_events(company=company, pks=[pk])
    services.retry_events(company=company, pks=[pk])

    assert repeat() == {}

    assert states(company) == ["pending"]


def test_a_cancelled_backfill_is_cancelled_again(
    company: Company, connected: Any, make_rule: Any, repeat: Any
) -> None:
    lead = make_lead(company)
    backfill = backfills.start(
        rule=make_rule(),
        since=lead.created_at,
        until=timezone.now() + timedelta(seconds=1),
    )
    backfills.cancel(backfill=backfill)
    Backfill.objects.update(state="running", finished_at=None)

    assert repeat() == {"backfills cancelled": 1}

    assert Backfill.objects.get().state == "cancelled"


def test_a_log_without_privacy_changes_is_pointed_out(
    log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Something else \xff\n"))
    )
    said = io.StringIO()

    call_command("repeat_privacy_changes", stdout=said)

    assert said.getvalue() == NOTHING


def test_a_line_that_is_cut_off_stops_everything(
    company: Company, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead, other = make_lead(company), make_lead(company)
    for each in (lead, other):
        erase_lead(lead=each)
    restored(lead)
    monkeypatch.setattr(
        sys, "stdin", io.TextIOWrapper(io.BytesIO(as_written(log)[:-1].encode()))
    )

    with pytest.raises(
        CommandError, match="Nothing was repeated: this line of the log is not complete"
    ):
        call_command("repeat_privacy_changes")

    assert Lead.objects.get(pk=lead.pk).erased_at is None
