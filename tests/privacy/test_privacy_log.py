"""Whatever ends the sending of a person or an event is in the privacy log: in numbers, and with its commit."""

import json
import logging
import re
from typing import Any

import pytest
from django.core.management import call_command
from django.core.serializers import serialize
from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from capi import services
from capi.models import ConversionEvent
from capi.services import backfills
from crm.models import Company, CrmEvent, Lead, LeadStatus, privacy_log
from crm.models.privacy_log import CutOff, PrivacyChange, Subject
from crm.models.roles import Role
from crm.services import undo
from crm.services.editing import delete
from crm.services.erasure import erase_lead
from crm.services.lead_merges import merge_leads
from crm.services.merge_undo import undo_merge
from leadmachine.log_format import JsonFormatter, SafeFormatter
from tests.conftest import client_of, join, make_deal, make_lead, staff_client
from tests.crm.api.calling import caller

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.covers("S37")]

SHARING = "share_with_ad_platforms"


@pytest.fixture
def log(caplog: Any) -> Any:
    """What the privacy log has, as it is written to standard error."""
    caplog.set_level(logging.INFO, privacy_log.logger.name)
    return caplog


def written(log: Any) -> list[str]:
    formatter = SafeFormatter("{asctime} {levelname} {name}: {message}", style="{")
    return [
        formatter.format(record)
        for record in log.records
        if record.name == privacy_log.logger.name
    ]


def changes(log: Any) -> dict[tuple[PrivacyChange, int], PrivacyChange]:
    """The last change of each subject in the log."""
    return {
        (subject.ends, subject.pk): change
        for subject, change in privacy_log.read(written(log)).items()
    }


def opted_out(log: Any, *leads: Lead) -> bool:
    """True if exactly these leads are opted out by the log."""
    found = {
        pk
        for (_, pk), change in changes(log).items()
        if change == PrivacyChange.OPTED_OUT
    }
    return found == {lead.pk for lead in leads}


def save(lead: Lead, **fixtures: Any) -> None:
    lead.share_with_ad_platforms = False
    lead.save()


def save_the_field(lead: Lead, **fixtures: Any) -> None:
    lead.share_with_ad_platforms = False
    lead.save(update_fields=[SHARING])


def update(lead: Lead, **fixtures: Any) -> None:
    Lead.objects.filter(pk=lead.pk).update(share_with_ad_platforms=False)


def update_without_events(lead: Lead, **fixtures: Any) -> None:
    Lead.objects.filter(pk=lead.pk).update_without_events(share_with_ad_platforms=False)


def bulk_update(lead: Lead, **fixtures: Any) -> None:
    lead.share_with_ad_platforms = False
    Lead.objects.bulk_update([lead], [SHARING])


def update_rows(lead: Lead, **fixtures: Any) -> None:
    """As an import does."""
    Lead.objects.update_rows([SHARING], {lead.pk: [False]})


def update_or_create(lead: Lead, **fixtures: Any) -> None:
    Lead.objects.update_or_create(pk=lead.pk, defaults={SHARING: False})


def related_manager(lead: Lead, **fixtures: Any) -> None:
    lead.company.leads.update(share_with_ad_platforms=False)


def loaddata(lead: Lead, tmp_path: Any, **fixtures: Any) -> None:
    lead.share_with_ad_platforms = False
    fixture = tmp_path / "rows.json"
    fixture.write_text(serialize("json", [lead]))
    call_command("loaddata", fixture, verbosity=0)


def page(lead: Lead, **fixtures: Any) -> None:
    web = client_of(join(lead.company, Role.ADMIN).user)
    form = {
        "first_name": "Ada",
        "email": lead.email,
        "type": lead.type,
        "status": lead.status_id,
    }
    assert web.post(f"/leads/{lead.pk}/edit/", form).status_code == 302


def api(lead: Lead, **fixtures: Any) -> None:
    answer = caller(lead.company).patch(
        f"/api/v1/leads/{lead.pk}/", {SHARING: False}, format="json"
    )
    assert answer.status_code == 200


def admin(lead: Lead, **fixtures: Any) -> None:
    form = {
        "first_name": "Ada",
        "type": lead.type,
        "status": lead.status_id,
        "company": lead.company_id,
    }
    assert (
        staff_client().post(f"/admin/crm/lead/{lead.pk}/change/", form).status_code
        == 302
    )


WAYS = (
    save, save_the_field, update, update_without_events, bulk_update, update_rows, update_or_create, related_manager,
    loaddata, page, api, admin,
)  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_an_opt_out_is_logged_whichever_way_it_is_made(
    company: Company, log: Any, tmp_path: Any, way: Any
) -> None:
    lead = make_lead(company)

    way(lead, tmp_path=tmp_path)

    assert not Lead.objects.get(pk=lead.pk).share_with_ad_platforms
    assert opted_out(log, lead)
    assert [subject.made_at for subject in privacy_log.read(written(log))] == [
        privacy_log.made_at(lead.created_at)
    ]


def test_the_lines_name_nobody(company: Company, log: Any) -> None:
    lead = make_lead(company, email="ada@example.com")
    update(lead)
    erase_lead(lead=lead)
    delete(row=make_lead(company, email="bea@example.com"))

    assert len(written(log)) == 3
    assert not re.search("ada|bea|example|•", "\n".join(written(log)), re.IGNORECASE)


def test_other_changes_of_a_lead_are_not_logged(company: Company, log: Any) -> None:
    lead = make_lead(company)

    Lead.objects.filter(pk=lead.pk).update(
        email="new@example.com", share_with_ad_platforms=True
    )

    assert written(log) == []


def test_the_last_word_counts(company: Company, log: Any) -> None:
    lead, other = make_lead(company), make_lead(company)
    for is_shared in (False, True):
        Lead.objects.filter(pk=lead.pk).update(share_with_ad_platforms=is_shared)
    with transaction.atomic():
        for is_shared in (False, True, False):
            Lead.objects.filter(pk=other.pk).update(share_with_ad_platforms=is_shared)

    lines = written(log)

    assert opted_out(log, other)
    assert privacy_log.read(reversed(lines)) == privacy_log.read(lines)


def test_the_last_word_counts_with_savepoints_too(company: Company, log: Any) -> None:
    lead = Lead.objects.filter(pk=make_lead(company).pk)

    with transaction.atomic():
        lead.update(share_with_ad_platforms=False)
        with transaction.atomic():
            lead.update(share_with_ad_platforms=True)
        lead.update(share_with_ad_platforms=False)

    assert opted_out(log, lead.get())


def test_what_is_rolled_back_is_not_logged(company: Company, log: Any) -> None:
    lead, other = make_lead(company), make_lead(company)

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        update(lead)
        raise ZeroDivisionError
    with transaction.atomic():
        update(other)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            update(lead)
            raise ZeroDivisionError

    assert opted_out(log, other)


def test_a_connection_that_ends_after_the_commit_takes_no_line_with_it(
    company: Company, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead, other = make_lead(company, share_with_ad_platforms=False), make_lead(company)

    def ended(self: Any) -> None:
        raise OperationalError("the connection is lost")

    with monkeypatch.context() as lost, pytest.raises(OperationalError):
        lost.setattr(BaseDatabaseWrapper, "run_and_clear_commit_hooks", ended)
        with transaction.atomic():
            update(other)
            Lead.objects.filter(pk=lead.pk).update(share_with_ad_platforms=True)
    connection.close()

    assert Lead.objects.get(pk=lead.pk).share_with_ad_platforms
    # An opt-in may be lost.
    assert changes(log) == {
        (PrivacyChange.OPTED_OUT, other.pk): PrivacyChange.OPTED_OUT
    }


def test_a_commit_that_fails_allows_nothing(
    company: Company, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead = make_lead(company, share_with_ad_platforms=False)

    def refuse(self: Any) -> None:
        raise DatabaseError("refused")

    with monkeypatch.context() as failing, pytest.raises(DatabaseError):
        failing.setattr(BaseDatabaseWrapper, "_commit", refuse)
        Lead.objects.filter(pk=lead.pk).update(share_with_ad_platforms=True)

    assert written(log) == []


def test_many_rows_are_few_lines_of_bounded_length(company: Company, log: Any) -> None:
    leads = [make_lead(company) for _ in range(300)]

    with transaction.atomic():
        for lead in leads:
            save(lead)

    assert len(written(log)) == 2
    assert max(map(len, written(log))) < 16_000  # Docker cuts a line there
    assert opted_out(log, *leads)


def test_an_opt_out_is_the_persons(company: Company, log: Any) -> None:
    kept, gone = make_lead(company), make_lead(company)
    merge_leads(kept=kept, gone=gone)

    update(kept)

    assert opted_out(log, kept, gone)


def test_a_merge_opts_both_out_and_its_undo_puts_that_back(
    company: Company, log: Any
) -> None:
    kept, gone = make_lead(company, share_with_ad_platforms=False), make_lead(company)

    merge = merge_leads(kept=kept, gone=gone)

    assert opted_out(log, kept, gone)
    undo_merge(merge=merge)
    assert opted_out(log, kept)


def test_deletions_are_logged_with_all_that_goes_along(
    company: Company, log: Any
) -> None:
    lead, merged = make_lead(company), make_lead(company)
    deal = make_deal(lead)
    merge_leads(kept=lead, gone=merged)

    Lead.objects.filter(pk=lead.pk).delete()

    assert set(changes(log)) == {
        (PrivacyChange.DELETED_LEADS, lead.pk),
        (PrivacyChange.DELETED_LEADS, merged.pk),
        (PrivacyChange.DELETED_DEALS, deal.pk),
    }


def test_cancelled_and_retried_events_are_logged(
    company: Company, connected: Any, make_rule: Any, log: Any
) -> None:
    make_rule()
    for _ in range(2):
        make_lead(company)
    first, second = ConversionEvent.objects.order_by("pk")

    services.cancel_events(company=company, pks=[first.pk, second.pk])
    services.retry_events(company=company, pks=[first.pk])

    assert changes(log) == {
        (PrivacyChange.CANCELLED, first.pk): PrivacyChange.RETRIED,
        (PrivacyChange.CANCELLED, second.pk): PrivacyChange.CANCELLED,
    }


def test_a_cancelled_backfill_is_logged(
    company: Company, connected: Any, make_rule: Any, log: Any
) -> None:
    lead = make_lead(company)
    backfill = backfills.start(
        rule=make_rule(), since=lead.created_at, until=make_lead(company).created_at
    )

    backfills.cancel(backfill=backfill)

    assert list(changes(log)) == [(PrivacyChange.CANCELLED_BACKFILLS, backfill.pk)]


def test_an_undone_change_is_logged(
    company: Company, log: Any, client_as: Any, admin: Any
) -> None:
    lead = make_lead(company)
    qualified = LeadStatus.objects.get(company=company, meaning="qualified")
    client_as(admin).post(f"/leads/{lead.pk}/status/", {"status": qualified.pk})
    event = CrmEvent.objects.get(lead=lead, kind="lead_qualified")

    undo.undo(company=company, action=event.action)

    assert list(changes(log)) == [(PrivacyChange.TAKEN_BACK, event.pk)]


# Reading a log


def line_of(change: PrivacyChange, pk: int = 42) -> str:
    """A line as journald has it."""
    at = "2026-11-27T17:30:00.123456+00:00"
    return (
        f"Nov 27 16:52:21 crm gunicorn[7]: 2026-11-27 16:52:21.000+00:00 INFO crm.models.privacy_log: "
        f"Privacy log: 1 {change} of company 7 at {at}: {pk}={at}\n"
    )


def test_lines_among_others_are_found() -> None:
    [subject] = privacy_log.read(
        ["Something else\n", line_of(PrivacyChange.ERASED), "\x00\n"]
    )

    assert (subject.ends, subject.company_id, subject.pk) == (
        PrivacyChange.ERASED,
        7,
        42,
    )


def test_a_line_that_someone_made_up_counts_for_nothing() -> None:
    """A request's address is in the log, whatever it says."""
    forged = line_of(PrivacyChange.ERASED)
    warning = (
        f"2026-11-27 16:52:21.000+00:00 WARNING django.request: Not Found: /a: {forged}"
    )

    assert (
        privacy_log.read([warning, f"Nov 27 16:52:21 crm gunicorn[7]: {warning}"]) == {}
    )


@pytest.mark.parametrize("cut", [1, 10, 40, 60])
def test_a_line_that_is_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(CutOff):
        privacy_log.read([line_of(PrivacyChange.ERASED)[: -1 - cut]])


@pytest.mark.parametrize("change", PrivacyChange)
def test_every_change_is_read_as_it_is_written(change: PrivacyChange) -> None:
    now = privacy_log.made_at(timezone.now())
    subject = Subject(privacy_log.ALLOWS_AGAIN.get(change, change), 7, 1, now)

    lines = [
        f"INFO crm.models.privacy_log: {line}"
        for _, line in privacy_log.lines({subject: change}, now)
    ]

    assert privacy_log.read(lines) == {subject: change}


# A log of JSON, or of both


def in_json(message: str, name: str = privacy_log.logger.name) -> str:
    """A line about this message, as it is written with LEADMACHINE_LOG_FORMAT=json."""
    record = logging.LogRecord(name, logging.INFO, "", 1, message, (), None)
    return JsonFormatter().format(record)


def message_of(change: PrivacyChange, pk: int) -> str:
    return line_of(change, pk).partition("privacy_log: ")[2].strip()


def in_alphabetical_order(line: str) -> str:
    fields = {**json.loads(line), "company_id": 9, "traceback": "none"}
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize(
    "as_stored",
    [
        lambda line: line,
        lambda line: f"Nov 27 16:52:21 crm gunicorn[7]: {line}\n",
        lambda line: json.dumps({"log": f"{line}\n", "stream": "stderr"}),
        in_alphabetical_order,
        lambda line: json.dumps(json.loads(line), indent=None),
    ],
    ids=["written", "journald", "docker", "sorted", "with spaces"],
)
@pytest.mark.parametrize("change", PrivacyChange)
def test_every_change_is_read_as_json(change: PrivacyChange, as_stored: Any) -> None:
    now = privacy_log.made_at(timezone.now())
    subject = Subject(privacy_log.ALLOWS_AGAIN.get(change, change), 7, 1, now)

    lines = [
        as_stored(in_json(line))
        for _, line in privacy_log.lines({subject: change}, now)
    ]

    assert privacy_log.read(lines) == {subject: change}


def test_a_log_that_has_both_is_read_whole() -> None:
    found = privacy_log.read(
        [
            line_of(PrivacyChange.ERASED, 1),
            in_json(message_of(PrivacyChange.OPTED_OUT, 2)),
            in_json("Not Found: /a", "django.request"),
            line_of(PrivacyChange.DELETED_DEALS, 3),
        ]
    )

    assert {(subject.ends, subject.pk) for subject in found} == {
        (PrivacyChange.ERASED, 1),
        (PrivacyChange.OPTED_OUT, 2),
        (PrivacyChange.DELETED_DEALS, 3),
    }


@pytest.mark.parametrize(
    "inner",
    [line_of(PrivacyChange.ERASED), in_json(message_of(PrivacyChange.ERASED, 42))],
)
@pytest.mark.parametrize("as_stored", [lambda line: line, in_alphabetical_order])
def test_a_line_in_json_that_someone_made_up_counts_for_nothing(
    inner: str, as_stored: Any
) -> None:
    """Neither an address that someone requests in JSON's form, nor one that is text."""
    outer = in_json(f"Not Found: /a: {inner}", "django.request")
    text = f"2026-11-27 16:52:21.000+00:00 WARNING django.request: Not Found: {inner}"

    assert privacy_log.read([as_stored(outer), text]) == {}


@pytest.mark.parametrize("cut", [4, 10, 40, 60])
def test_a_line_in_json_that_is_cut_off_is_refused(cut: int) -> None:
    line = in_json(message_of(PrivacyChange.ERASED, 42))

    with pytest.raises(CutOff):
        privacy_log.read([line[:-cut]])
