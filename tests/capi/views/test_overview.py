"""The overview: the outcomes of some days' events, for one rule or all, and the numbers as a file."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from capi.models import DayCount
from crm.formatting import duration
from crm.models import AuditEntry, Company
from crm.services.erasure import erase_lead
from tests.capi.counted import count_now, record
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db

PAGE, EXPORT = (
    "/integrations/linkedin/overview/",
    "/integrations/linkedin/overview/export/",
)


def days_ago(days: int) -> datetime:
    return timezone.now() - timedelta(days=days)


def rows_of(response) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(response.streaming_content).decode())))


@pytest.fixture
def history(make_rule) -> None:
    """Two rules: one sent 6 and had trouble with 4, the other sent one. The oldest of all is 40 days old."""
    rule, other = (
        make_rule("lead_created", name="New lead"),
        make_rule("deal_won", name="Purchase"),
    )
    for number in range(6):
        moment = days_ago(40 - number)
        record(rule, "accepted", moment, settled_at=moment + timedelta(seconds=2))
    record(rule, "rejected", days_ago(3), reason="data_refused")
    record(rule, "rejected", days_ago(3), reason="data_refused")
    moment = days_ago(3)
    record(other, "accepted", moment, settled_at=moment + timedelta(minutes=3))
    record(rule, "skipped", days_ago(2), reason="opted_out")
    record(rule, "waiting", days_ago(1), reason="no_email")
    record(rule, "accepted", is_test=True)
    count_now()


def test_the_last_thirty_days_are_shown_unless_others_are_asked_for(
    client_as, ops, history
) -> None:
    web = client_as(ops)

    pages = [web.get(PAGE + query).context for query in ("", "?period=90", "?period=7")]

    totals = [
        (one["outcomes"].sent, one["outcomes"].failed, one["outcomes"].total)
        for one in pages
    ]
    assert totals == [(1, 2, 5), (7, 2, 11), (1, 2, 5)]
    assert [len(one["outcomes"].chart.days) for one in pages] == [30, 90, 7]


def test_it_tells_the_share_with_an_address_and_the_time_until_acceptance(
    client_as, ops, history
) -> None:
    tally = client_as(ops).get(PAGE + "?period=90").context["details"].tally

    # Seven accepted and two rejected, and one that waits.
    assert tally.with_email_percent == 90
    assert tally.typical_seconds == pytest.approx(2, rel=0.1)
    assert tally.slow_seconds == pytest.approx(180, rel=0.1)


def test_the_reasons_come_most_frequent_first_and_lead_to_their_events(
    client_as, ops, history
) -> None:
    web = client_as(ops)

    page = web.get(PAGE)

    assert [(why.words.label, why.reason, why.count) for why in page.context["details"].reasons] == [
        ("Rejected", "data_refused", 2), ("Skipped", "opted_out", 1), ("Waiting for an e-mail", "no_email", 1),
    ]  # fmt: skip
    text = page.content.decode()
    asked = page.context["asked"]
    query = f"state=rejected&amp;reason=data_refused&amp;since={asked.since}&amp;until={asked.until}"
    assert f'href="/integrations/linkedin/events/?{query}"' in text
    found = (
        web.get(f"/integrations/linkedin/events/?{query.replace('&amp;', '&')}")
        .context["page"]
        .rows
    )
    assert [row.event.reason for row in found] == ["data_refused", "data_refused"]


def test_one_rule_alone_can_be_asked_for(client_as, ops, company, history) -> None:
    rule = company.conversion_rules.get(name="Purchase")

    page = client_as(ops).get(PAGE, {"rule": rule.pk})

    assert (page.context["outcomes"].total, page.context["details"].reasons) == (1, [])
    assert "for Purchase" in page.content.decode()


def test_other_dates_go_before_the_period(client_as, ops, history) -> None:
    first, last = (timezone.localdate() - timedelta(days=days) for days in (40, 38))

    page = (
        client_as(ops).get(PAGE, {"period": 7, "since": first, "until": last}).context
    )

    assert (page["outcomes"].sent, page["form"]["period"].value()) == (3, "")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (
            "?since=2026-03-03&until=2026-03-02",
            "The end date is before the start date.",
        ),
        ("?since=2020-01-01&until=2026-03-02", "Choose at most 366 days."),
        ("?period=12", "Not valid, so ignored: Period."),
        ("?since=yesterday", "Not valid, so ignored: From."),
        ("?rule=987654321", "Not valid, so ignored: Rule."),
    ],
)
def test_what_makes_no_sense_is_told_and_left_out(client_as, ops, query, told) -> None:
    page = client_as(ops).get(PAGE + query)

    assert told in page.content.decode()
    assert len(page.context["asked"].days) == 30


def test_it_says_how_new_the_numbers_are(client_as, ops, history) -> None:
    page = client_as(ops).get(PAGE)

    assert page.context["outcomes"].counted_at is not None
    assert "Updated every minute" in page.content.decode()


def test_an_empty_company_is_told_what_will_appear(client_as, ops) -> None:
    text = client_as(ops).get(PAGE).content.decode()

    assert "No events in this period" in text
    assert "Everything in this period was sent, or will be." in text
    assert "Not counted yet" in text


def test_the_days_are_those_of_the_company(client_as, ops, company, make_rule) -> None:
    # Fourteen hours ahead.
    Company.objects.filter(pk=company.pk).update(time_zone="Pacific/Kiritimati")
    record(make_rule(), "accepted", datetime(2026, 3, 10, 10, 30, tzinfo=UTC))
    count_now()
    web = client_as(ops)

    sent = [
        web.get(PAGE, {"since": day, "until": day}).context["outcomes"].sent
        for day in ("2026-03-10", "2026-03-11")
    ]

    assert sent == [0, 1]


def test_nothing_of_another_company_is_shown_or_exported(
    client_as, ops, other_company, make_rule
) -> None:
    theirs = make_rule(company=other_company, name="Theirs")
    record(theirs, "accepted")
    count_now()
    web = client_as(ops)

    page = web.get(PAGE, {"rule": theirs.pk})
    file = rows_of(web.post(EXPORT, {"rule": theirs.pk}))

    assert page.context["outcomes"].total == 0
    assert "Theirs" not in page.content.decode()
    assert len(file) == 1


def test_sales_have_no_overview(client_as, sales, history) -> None:
    web = client_as(sales)

    assert [web.get(PAGE).status_code, web.post(EXPORT).status_code] == [403, 403]
    assert "/overview/" not in web.get("/dashboard/").content.decode()


def test_the_numbers_are_exported_as_they_are_shown_and_on_record(
    client_as, ops, history
) -> None:
    web = client_as(ops)

    rows = rows_of(web.post(EXPORT, {"period": "7"}))

    today = timezone.localdate()
    refused = (
        "LinkedIn rejected the event's data as wrong or incomplete (400, 409 or 422)."
    )
    assert rows == [
        ["day", "rule", "state_label", "why", "events"],
        [str(today - timedelta(days=3)), "New lead", "Rejected", refused, "2"],
        [str(today - timedelta(days=3)), "Purchase", "Sent", "LinkedIn accepted the event.", "1"],
        [str(today - timedelta(days=2)), "New lead", "Skipped", "The lead is not shared with ad platforms.", "1"],
        [
            str(today - timedelta(days=1)), "New lead", "Waiting for an e-mail",
            "The lead has no e-mail address. LinkedIn would reject the event (422).", "1",
        ],
    ]  # fmt: skip
    assert AuditEntry.objects.get(action="export").details == {
        "what": "conversion numbers"
    }


def test_the_days_are_exported_with_their_times_and_their_share_with_an_address(
    client_as, ops, history
) -> None:
    web = client_as(ops)

    answer = web.post(EXPORT, {"period": "7", "by": "day"})

    today = timezone.localdate()
    assert answer.streaming
    head, sent, *others = rows_of(answer)
    assert head == [
        "day", "sent", "on_the_way", "failed", "not_sent", "with_email_percent", "p50_seconds", "p95_seconds"
    ]  # fmt: skip
    assert sent[:6] == [str(today - timedelta(days=3)), "1", "0", "2", "0", "100.0"]
    assert [float(seconds) for seconds in sent[6:]] == [pytest.approx(180, rel=0.1)] * 2
    assert others == [
        [str(today - timedelta(days=2)), "0", "0", "0", "1", "", "", ""],
        [str(today - timedelta(days=1)), "0", "1", "0", "0", "0.0", "", ""],
    ]
    assert AuditEntry.objects.get(action="export").details == {
        "what": "conversion numbers by day"
    }


def test_the_days_of_one_rule_alone_can_be_exported(
    client_as, ops, company, history
) -> None:
    rule = company.conversion_rules.get(name="Purchase")

    rows = rows_of(client_as(ops).post(EXPORT, {"rule": rule.pk, "by": "day"}))

    assert [row[1:5] for row in rows[1:]] == [["1", "0", "0", "0"]]


@pytest.mark.covers("S21")
def test_a_rule_whose_name_might_be_a_formula_is_exported_as_text(
    client_as, ops, make_rule
) -> None:
    record(make_rule(name="=HYPERLINK(1)"), "accepted")
    count_now()

    rows = rows_of(client_as(ops).post(EXPORT))

    assert rows[1][1] == "'=HYPERLINK(1)"


@pytest.mark.covers("S42")
def test_exports_are_limited_and_then_lead_back_with_a_sentence(
    client_as, ops, settings, one_minute
) -> None:
    settings.EXPORTS_PER_MINUTE = 1
    web = client_as(ops)

    web.post(EXPORT)
    refused = web.post(EXPORT, follow=True)

    assert refused.redirect_chain == [(PAGE, 302)]
    assert "Wait a minute, then try again." in refused.content.decode()
    assert AuditEntry.objects.filter(action="export").count() == 1


def test_an_erased_person_stays_in_the_numbers_and_in_nothing_else(
    client_as, ops, company, make_rule
) -> None:
    make_rule()
    lead = make_lead(company, first_name="Grace")
    count_now()

    erase_lead(lead=lead, user=None)
    count_now()

    page = client_as(ops).get(PAGE)
    assert [(why.words.what, why.count) for why in page.context["details"].reasons] == [
        ("The person was erased before the event was sent.", 1)
    ]
    assert "Grace" not in page.content.decode()


@pytest.mark.parametrize("events", [1, 60])
def test_it_takes_the_same_queries_however_much_there_is(
    client_as, ops, make_rule, events, django_assert_num_queries
) -> None:
    rule = make_rule()
    for number in range(events):
        record(
            rule, "accepted" if number % 2 else "rejected", days_ago(events - number)
        )
    count_now()
    web = client_as(ops)

    # Session, person, company; line; the rules to choose from; the counts and how new they are; the details.
    with django_assert_num_queries(10):
        web.get(PAGE)

    assert DayCount.objects.count() == events


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.11, "0.1 s"),
        (1.4, "1.4 s"),
        (119, "119 s"),
        (720, "12 min"),
        (12_600, "3.5 h"),
        (3_456_000, "40 days"),
    ],
)
def test_a_time_is_told_in_one_unit(seconds, told) -> None:
    assert duration(seconds).replace("\u00a0", " ") == told


def test_each_share_of_leads_that_can_hardly_match_leads_to_them(
    client_as, ops, company, other_company
) -> None:
    addresses = (
        "",
        "ada@gmial.com",
        "info@example.com",
        "ada@mailinator.com",
        "grace@example.com",
    )
    for address in addresses:
        make_lead(company, email=address)
        make_lead(other_company, email=address)
    make_lead(company, share_with_ad_platforms=False)
    erase_lead(lead=make_lead(company, email=""))
    web = client_as(ops)

    page = web.get(PAGE)

    obstacles = page.context["obstacles"]
    assert [(each.count, each.percent) for each in obstacles] == [
        (1, pytest.approx(100 / 6))
    ] * 5
    for each in obstacles:
        assert f'href="/leads/?{each.query}"' in page.content.decode()
        assert len(web.get(f"/leads/?{each.query}").context["page"].rows) == 1


def test_without_leads_no_share_is_shown(client_as, ops) -> None:
    assert client_as(ops).get(PAGE).context["obstacles"] == []
