"""The mail on Monday morning, by the company's clock: one per week and person, however often it is evaluated."""

from datetime import UTC, datetime, timedelta

import pytest

from capi.alerts.mail_choices import choose
from capi.models import Connection, ConversionEvent
from crm.models import Company, CrmEvent
from tests.capi.alerts.conftest import look, mails, subjects
from tests.capi.alerts.post_office import PostOffice

pytestmark = pytest.mark.django_db

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def watched(company, line, admin, make_rule):
    """A rule of a company that was last evaluated on the Friday before, and an admin who gets only the weekly mail."""
    choose(company=company, user=admin.user, alerts=False, weekly=True)
    rule = make_rule(name="New lead")
    look(company, now=MONDAY - timedelta(days=3))
    return rule


@pytest.mark.parametrize(
    ("zone", "utc_hour"),
    [("UTC", 6), ("Europe/Amsterdam", 5), ("America/New_York", 11)],
)
def test_it_comes_from_six_on_by_the_companys_clock(
    company, watched, zone, utc_hour
) -> None:
    Company.objects.update(time_zone=zone)

    look(company, now=MONDAY + timedelta(hours=utc_hour, minutes=-1))
    before = subjects()
    look(company, now=MONDAY + timedelta(hours=utc_hour))

    assert before == []
    assert subjects() == [
        "Northwind BV: LinkedIn reconcile, 16 November 2026 to 22 November 2026"
    ]


def test_it_comes_once_a_week_however_often_one_looks(company, watched) -> None:
    for hours in range(6, 24 * 15, 12):
        look(company, now=MONDAY + timedelta(hours=hours))

    assert [address for address, _ in mails()] == ["admin@example.com"] * 3
    assert len(set(subjects())) == 3


def test_a_company_that_is_new_hears_first_of_the_week_that_runs(
    company, line, admin, make_rule
) -> None:
    choose(company=company, user=admin.user, alerts=False, weekly=True)
    make_rule()

    look(company, now=MONDAY + timedelta(days=2))
    first = subjects()
    look(company, now=MONDAY + timedelta(days=7, hours=6))

    assert first == []
    assert subjects() == [
        "Northwind BV: LinkedIn reconcile, 23 November 2026 to 29 November 2026"
    ]


def test_it_says_by_rule_what_became_and_names_no_lead(company, watched) -> None:
    for state, reason in (
        ("accepted", ""),
        ("accepted", ""),
        ("skipped", "opted_out"),
        (None, ""),
    ):
        event = CrmEvent.objects.create(
            company=company, kind="lead_created", occurred_at=MONDAY - timedelta(days=2)
        )
        if state:
            ConversionEvent.objects.create(
                company=company,
                rule=watched,
                crm_event=event,
                state=state,
                reason=reason,
                next_attempt_at=None,
            )

    look(company, now=MONDAY + timedelta(hours=6))
    subjects()

    assert PostOffice.taken[0].body == (
        "Outcomes of the CRM events from 16 November 2026 to 22 November 2026, by rule, at the time of this e-mail.\n\n"
        "New lead (Lead created)\n"
        "        2  Sent: LinkedIn accepted the event.\n"
        "        1  Skipped: The lead is not shared with ad platforms.\n"
        "        1  No rule: No active rule at the time: not sent to LinkedIn.\n"
        "        4  total\n\n"
        "Learn more:\nhttps://crm.example.com/help/admin/#alerts-and-the-weekly-reconcile\n\n"
        "See the full reconcile:\nhttps://crm.example.com/integrations/linkedin/reconcile/?week=2026-11-16\n\n"
        "You get this e-mail because you are an admin or asked for it. Change your choice here:\n"
        "https://crm.example.com/integrations/linkedin/alerts/#mail\n"
    )


def test_without_rules_there_is_nothing_to_tell(company, line, admin) -> None:
    choose(company=company, user=admin.user, alerts=True, weekly=True)
    Connection.objects.update(mailed_week=MONDAY.date() - timedelta(weeks=2))

    look(company, now=MONDAY + timedelta(hours=6))

    assert subjects() == []
