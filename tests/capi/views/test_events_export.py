"""The event log as a file: the rows that match the page's filters, with ids but nothing else about the leads."""

import csv
import io

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from capi.models import ConversionEvent
from capi.selectors import events
from crm.models import AuditEntry
from tests.capi.counted import record
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db

EXPORT = "/integrations/linkedin/events/export/"


def rows_of(response) -> list[dict[str, str]]:
    return list(
        csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode()))
    )


def test_a_row_tells_what_the_page_tells_but_who_it_is_about(
    client_as, ops, company, make_rule
) -> None:
    rule = make_rule(name="New lead")
    lead = make_lead(company, first_name="Grace", last_name="Hopper", email="")
    event = ConversionEvent.objects.get()

    response = client_as(ops).post(EXPORT)

    (row,) = rows_of(response)
    assert response["Content-Disposition"] == 'attachment; filename="event-log.csv"'
    assert row == {
        "recorded_at": event.created_at.isoformat(), "happened_at": event.happened_at.isoformat(),
        "event_id": event.event_id, "crm_event": "lead_created", "crm_event_label": "Lead created", "rule": "New lead",
        "linkedin_id": rule.linkedin_id, "state": "waiting", "state_label": "Waiting for an e-mail",
        "reason": "no_email",
        "why": "The lead has no e-mail address. LinkedIn would reject the event (422).",
        "http_status": "", "attempts": "0", "settled_at": "", "lead_id": str(lead.pk), "deal_id": "", "is_test": "no",
    }  # fmt: skip


def test_the_filters_of_the_page_hold_for_the_file(client_as, ops, make_rule) -> None:
    rule, other = make_rule("lead_created"), make_rule("deal_won")
    for state, reason in [
        ("accepted", ""),
        ("rejected", "data_refused"),
        ("exhausted", "timed_out"),
        ("skipped", ""),
    ]:
        record(rule, state, reason=reason)
    record(other, "rejected", reason="data_refused")
    web = client_as(ops)

    found = [
        [row["state_label"] for row in rows_of(web.post(EXPORT, asked))]
        for asked in (
            {"state": "failed"}, {"state": "failed", "reason": "timed_out"}, {"rule": rule.pk}, {"until": "2020-01-01"},
        )
    ]  # fmt: skip

    assert found == [
        ["Rejected", "Gave up", "Rejected"],
        ["Gave up"],
        ["Skipped", "Gave up", "Rejected", "Sent"],
        [],
    ]


def test_it_is_read_piece_by_piece_while_it_is_sent(
    client_as, ops, make_rule, monkeypatch
) -> None:
    monkeypatch.setattr(events, "ROWS_AT_ONCE", 10)
    rule = make_rule()
    ids = [record(rule, "accepted").event_id for _ in range(25)]
    response = client_as(ops).post(EXPORT)
    lines = iter(response.streaming_content)

    with CaptureQueriesContext(connection) as at_first:
        first = [next(lines) for _ in range(11)]  # the first piece has the header, too
    with CaptureQueriesContext(connection) as after_that:
        rest = list(lines)

    # The first ten rows were read before the response, so that a failing query gets an error.
    assert [len(at_first), len(after_that)] == [1, 2]
    rows = b"".join([*first, *rest]).decode().splitlines()
    assert [row.split(",")[2] for row in rows[1:]] == ids[::-1]


def test_the_export_is_on_record_and_not_made_by_a_link(client_as, ops) -> None:
    web = client_as(ops)

    by_link = web.get(EXPORT)
    web.post(EXPORT)

    assert by_link.status_code == 302
    entry = AuditEntry.objects.get(action="export")
    assert (entry.details, entry.actor_id) == ({"what": "event log"}, ops.user_id)


@pytest.mark.covers("S21")
def test_a_rule_whose_name_might_be_a_formula_is_exported_as_text(
    client_as, ops, make_rule
) -> None:
    record(make_rule(name="@SUM(1)"), "accepted")

    (row,) = rows_of(client_as(ops).post(EXPORT))

    assert row["rule"] == "'@SUM(1)"


def test_nothing_of_another_company_is_in_it(
    client_as, ops, other_company, make_rule
) -> None:
    theirs = make_rule(company=other_company)
    record(theirs, "accepted")

    assert rows_of(client_as(ops).post(EXPORT, {"rule": theirs.pk})) == []


@pytest.mark.covers("S42")
def test_beyond_the_limit_nothing_is_exported(client_as, ops, settings) -> None:
    settings.EXPORTS_PER_MINUTE = 0

    refused = client_as(ops).post(EXPORT, follow=True)

    assert refused.redirect_chain == [("/integrations/linkedin/events/", 302)]
    assert not AuditEntry.objects.filter(action="export").exists()
