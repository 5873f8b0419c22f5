"""What the process's log says of each request to LinkedIn: a line of ids and counts that leads into Recent Events."""

import json
import logging
import re
from typing import Any

import pytest
from django.urls import reverse

from capi import services
from capi.delivery.log_lines import linkedin_id
from capi.linkedin.sandbox.faults import Drop, Fault
from capi.models import Attempt, ConversionEvent, ConversionRule
from crm.models import Lead
from leadmachine.log_format import JsonFormatter
from tests.capi.conftest import send_all
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db(transaction=True)

UUID = "AAYc7WzGX3kq0tVx6f5qjQ=="


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.INFO, "capi")
    return lambda: [
        re.sub(r" in \d+ ms", " in … ms", text)
        for name, _, text in caplog.record_tuples
        if "log_lines" in name
    ]


def make_leads(company, count: int) -> None:
    Lead.objects.bulk_create(
        Lead(company=company, first_name=f"Lead {n}", email=f"lead{n}@example.com")
        for n in range(count)
    )


def test_a_request_is_one_line_with_company_rule_counts_and_its_number(
    company, connected, make_rule, lines
) -> None:
    rule = make_rule()
    make_leads(company, 3)

    send_all(company)

    request = Attempt.objects.get()
    assert lines() == [
        f"Request {request.pk} for company {company.pk}, rule {rule.pk}: HTTP 200 in … ms; 3 events: 3 accepted."
    ]


def test_a_line_as_json_has_the_keys_of_the_request_and_its_events(
    company, connected, make_rule, caplog
) -> None:
    caplog.set_level(logging.INFO, "capi")
    rule = make_rule()
    make_leads(company, 3)

    send_all(company)

    [record] = [record for record in caplog.records if "log_lines" in record.name]
    line = json.loads(JsonFormatter().format(record))
    events = ConversionEvent.objects.order_by("pk").values_list("pk", flat=True)
    assert line["company_id"] == company.pk
    assert line["rule_id"] == rule.pk
    assert line["attempt_id"] == Attempt.objects.get().pk
    assert sorted(line["event_ids"]) == list(events)


def test_a_line_about_many_events_has_the_first_of_them(
    company, connected, make_rule, caplog, monkeypatch
) -> None:
    monkeypatch.setattr("capi.delivery.log_lines.EVENT_IDS_PER_LINE", 2)
    caplog.set_level(logging.INFO, "capi")
    make_rule()
    make_leads(company, 3)

    send_all(company)

    [record] = [record for record in caplog.records if "log_lines" in record.name]
    assert len(record.event_ids) == 2


def test_linkedins_own_number_of_the_request_is_told(
    company, connected, sandbox, make_rule, lines
) -> None:
    make_rule()
    make_lead(company)
    sandbox.faults.add(Fault(status=503, headers={"X-LI-UUID": UUID}))

    send_all(company)

    [line] = lines()
    assert line.endswith(
        f": HTTP 503 in … ms; 1 event: 1 pending (server_trouble). LinkedIn's number: {UUID}."
    )


@pytest.mark.parametrize(
    "header",
    [
        "ada@example.com",
        "973dfe463ec85785f5f95af5ba3906eedb2d931c24e69824a89ea65dba4e813b",
        "a b",
        "x" * 41,
        "",
    ],
)
def test_what_is_no_number_of_linkedins_is_not_told(header: str) -> None:
    assert linkedin_id({"x-li-uuid": header}) == ""


def test_a_request_without_an_answer_is_a_line_too(
    company, connected, sandbox, make_rule, lines
) -> None:
    make_rule()
    make_lead(company)
    sandbox.faults.add(Fault(drop=Drop.AFTER_BODY))

    send_all(company)

    [line] = lines()
    assert ": no answer in … ms; 1 event: 1 pending (" in line


def test_each_request_of_a_refused_batch_is_a_line_and_all_events_come_to_an_end(
    company, connected, sandbox, make_rule, lines
) -> None:
    make_rule()
    make_leads(company, 3)
    bad = "Conversion time should be within 90 days, indices [1] (0-indexed)."
    sandbox.faults.add(Fault(status=400, body=f'{{"message":"{bad}","status":400}}'))

    send_all(company)

    first, second = Attempt.objects.order_by("pk")
    told = [line.partition("; ")[2] or line.partition(": ")[2] for line in lines()]
    assert told == [
        "3 events: 3 undecided.",
        "2 events: 2 accepted.",
        "1 event found to be the cause: 1 rejected (data_refused).",
    ]
    assert f"Request {first.pk} " in lines()[0]
    assert f"Request {second.pk} " in lines()[1]
    assert f"Request {first.pk} " in lines()[2]


def test_nothing_but_ids_and_counts_is_told(
    company, connected, make_rule, lines
) -> None:
    make_rule(name="Named by somebody")
    make_lead(company, first_name="Kestrelquartz", email="kestrel@example.com")

    send_all(company)

    [line] = lines()
    assert not re.search(rf"Kestrel|@|Named|{company.slug}|{company.name}", line)


# --- and the way from the line into Recent Events ---


def test_recent_events_shows_the_events_of_a_request(
    client_as, ops, company, connected, make_rule
) -> None:
    make_rule()
    make_leads(company, 2)
    send_all(company)
    sent = set(ConversionEvent.objects.values_list("pk", flat=True))
    make_lead(company)
    send_all(company)
    first = Attempt.objects.order_by("pk")[0]

    page = client_as(ops).get(reverse("events"), {"request": first.pk})

    assert {row.event.pk for row in page.context["page"].rows} == sent


def test_a_request_of_another_company_shows_nothing(
    client_as, ops, company, connected, other_company
) -> None:
    services.save_token(company=other_company, token=TOKEN)
    ConversionRule.objects.create(
        company=other_company,
        crm_event="lead_created",
        linkedin_id="104012",
        name="Theirs",
    )
    make_lead(other_company)
    send_all(other_company)
    foreign = Attempt.objects.get()

    page = client_as(ops).get(reverse("events"), {"request": foreign.pk})

    assert foreign.company_id == other_company.pk
    assert page.context["page"].rows == []


def test_an_events_page_says_which_requests_it_was_in(
    client_as, ops, company, connected, make_rule
) -> None:
    make_rule()
    make_lead(company)
    send_all(company)
    event, request = ConversionEvent.objects.get(), Attempt.objects.get()

    html = client_as(ops).get(event.get_absolute_url()).content.decode()

    assert (
        f'<a href="{reverse("events")}?request={request.pk}">{request.pk}</a>' in html
    )
