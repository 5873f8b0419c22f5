"""What is on hold, why, and how long until its oldest event expires: on three pages, from one read."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from capi import services
from capi.models import Connection, ConversionEvent
from capi.selectors import on_hold as module
from capi.selectors.explanations.explain import countdown
from capi.selectors.on_hold import on_hold
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db

PAGES = [reverse(name) for name in ("dashboard", "linkedin", "events")]


@pytest.fixture
def rule(company, make_rule):
    services.save_token(company=company, token=TOKEN)
    return make_rule()


def held(company):
    return on_hold(
        company.pk,
        Connection.objects.filter(company=company).first(),
        company.conversion_rules.all(),
    )


def grow_old(days: float) -> None:
    """Date the first event back to so many days ago."""
    first = ConversionEvent.objects.order_by("pk").first()
    ConversionEvent.objects.filter(pk=first.pk).update(
        happened_at=Now() - timedelta(days=days)
    )


def pause(**fields) -> None:
    Connection.objects.update(is_paused=True, paused_reason="token_refused", **fields)


def test_each_page_says_how_much_why_and_until_when(
    client_as, admin, company, rule
) -> None:
    make_lead(company)
    make_lead(company)
    grow_old(78)
    pause()
    on = timezone.localdate() + timedelta(days=12)

    pages = [client_as(admin).get(address).content.decode() for address in PAGES]

    for page in pages:
        assert "2 events are on hold" in page
        assert "LinkedIn says 401" in page
        assert (
            f"Fix this by {on.day} {on:%B} (in 12 days): LinkedIn rejects events older than 90 days."
            in page
        )
        # The banner of all other pages.
        assert "Nothing is sent at the moment." not in page


def test_a_paused_rule_holds_its_own_events_alone(
    client_as, admin, company, rule, make_rule
) -> None:
    make_lead(company)
    wrong = make_rule(
        linkedin_id="404404",
        name="Wrong one",
        is_paused=True,
        paused_reason="rule_not_found",
    )
    make_lead(company)

    found = held(company)
    pages = [client_as(admin).get(address).content.decode() for address in PAGES]

    assert (found.count, list(found.of), found.why.http_status) == (1, [wrong], 404)
    assert all("Wrong one" in page for page in pages)
    dashboard, linkedin, events = pages
    assert "1 event is on hold" in dashboard
    assert "1 on hold" in linkedin  # in the rule's row
    assert "1 event is on hold" in events


def test_without_a_token_all_is_on_hold(company, make_rule) -> None:
    make_rule()
    make_lead(company)

    found = held(company)

    assert (found.count, found.why.what) == (1, "No access token is saved.")


def test_nothing_is_said_where_nothing_is_held(client_as, admin, company, rule) -> None:
    make_lead(company)
    make_lead(company, email="")

    flowing = held(company)
    pause()
    ConversionEvent.objects.filter(state="pending").update(state="accepted")
    pages = [client_as(admin).get(address).content.decode() for address in PAGES]

    assert (flowing, held(company)) == (None, None)
    assert all('id="on-hold"' not in page for page in pages)
    assert "Nothing is sent at the moment." in pages[0]


def test_tests_and_neighbours_are_not_counted(
    company, rule, other_company, make_rule
) -> None:
    make_rule(company=other_company)
    make_lead(other_company)
    ConversionEvent.objects.create(company=company, rule=rule, is_test=True)
    pause()

    assert held(company) is None


def test_of_a_great_many_it_is_said_that_there_are_more(
    company, rule, monkeypatch
) -> None:
    monkeypatch.setattr(module, "COUNT_LIMIT", 2)
    for _ in range(3):
        make_lead(company)
    pause()

    assert (held(company).count, held(company).is_more) == (2, True)


def test_it_is_one_query(company, rule, django_assert_num_queries) -> None:
    make_lead(company)
    pause()
    connection, rules = Connection.objects.get(), list(company.conversion_rules.all())

    with django_assert_num_queries(1):
        on_hold(company.pk, connection, rules)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (-1, "now"),
        (0, "today"),
        (1, "by 2 December (tomorrow)"),
        (9, "by 10 December (in 9 days)"),
    ],
)
def test_the_countdown_reads_like_a_sentence(days, words) -> None:
    today = timezone.datetime(2026, 12, 1).date()

    assert f"Fix this {words}: LinkedIn rejects" in countdown(
        today + timedelta(days=days), today
    )


def test_a_sales_rep_sees_none_of_it(client_as, sales, company, rule) -> None:
    make_lead(company)
    pause()

    assert 'id="on-hold"' not in client_as(sales).get(PAGES[0]).content.decode()
