"""Pages and mails read a part of the log, however long it is: none of their statements reads a large table whole."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from capi.alerts.notifications import mail_content
from capi.models import ConversionEvent, Mail
from capi.models.choices import MailKind
from capi.models.functions import monday_of
from capi.selectors import event_counts, events, rule_health, rules
from tests.conftest import make_lead
from tests.plans import analyse, indexes, plans, read, read_whole, rows_read

pytestmark = pytest.mark.django_db

# Over 90 days: with so many, PostgreSQL reads a week from an index, not the table, if
# it can.
EVENTS = 200_000
LARGE = {
    "crm_crmevent",
    "capi_conversionevent",
    "crm_lead",
    "capi_attempt",
    "crm_auditentry",
}
LAST_WEEK = monday_of(timezone.localdate()) - timedelta(weeks=1)


@pytest.fixture
def log(company, make_rule, settings) -> None:
    settings.LINKEDIN_SANDBOX = True
    make_lead(company)
    make_rule()
    call_command("make_events", company=company.slug, count=EVENTS, stdout=StringIO())
    analyse()


@pytest.mark.thorough
def test_neither_the_page_nor_the_file_nor_the_mail_of_a_week_reads_a_large_table_whole(
    log, ops, client_as
) -> None:
    web = client_as(ops)
    mail = Mail.objects.create(
        company=ops.company, user=ops.user, news=MailKind.WEEK, week=LAST_WEEK
    )

    with plans() as found:
        page = web.get(reverse("reconcile"))
        export = web.post(reverse("reconcile_export"), {"week": LAST_WEEK.isoformat()})
        letter = mail_content(mail)

    assert page.status_code == 200
    assert b"".join(export).count(b"Sent") == 1
    assert "Lead created" in letter.text
    assert {"crm_crmevent", "capi_conversionevent"} <= read(found)
    assert read_whole(found) & LARGE == set()


@pytest.fixture
def quiet(company, other_company, make_rule, settings, monkeypatch):
    """A company that used to have many events. Since then, only another one has had some."""
    monkeypatch.setattr(event_counts, "COUNT_LIMIT", 50)
    monkeypatch.setattr(event_counts, "SHORT_STRETCH", 100)
    monkeypatch.setattr(events, "STRETCH", 200)
    monkeypatch.setattr(rule_health, "STRETCH", 200)
    monkeypatch.setattr(rules, "HEALTH_ROWS", 100)
    settings.LINKEDIN_SANDBOX = True
    for owner, count in ((company, 5_000), (other_company, 20_000)):
        make_lead(owner)
        make_rule(company=owner)
        call_command("make_events", company=owner.slug, count=count, stdout=StringIO())
    analyse()
    return company


@pytest.mark.thorough
@pytest.mark.parametrize("page", ["events", "events of a rule", "linkedin", "rule"])
def test_a_page_of_a_company_does_not_read_the_newer_events_of_others(
    quiet, ops, client_as, page
) -> None:
    rule = quiet.conversion_rules.get()
    urls = {
        "events of a rule": f"{reverse('events')}?rule={rule.pk}",
        "rule": rule.get_absolute_url(),
    }
    web = client_as(ops)

    with plans(is_measured=True) as found:
        assert web.get(urls.get(page) or reverse(page)).status_code == 200

    assert 0 < rows_read(found, ConversionEvent._meta.db_table) < 4_000


@pytest.mark.thorough
def test_recent_events_does_not_read_the_whole_log_whatever_is_chosen(
    log, ops, client_as
) -> None:
    # As after a delivery: updated rows are at the end of the table, so that reading by id costs more than in its order.
    ConversionEvent.objects.filter(
        pk__in=ConversionEvent.objects.order_by("pk").values("pk")[: EVENTS // 4]
    ).update(attempts=1)
    analyse()
    web = client_as(ops)
    url = reverse("events")

    with plans() as found:
        for query in (
            {},
            {"state": "test"},
            {"state": "failed"},
            {"reason": "opted_out"},
            {"event": "deal_lost"},
        ):
            assert web.get(url, query).status_code == 200

    assert "capi_conversionevent" in read(found)
    assert "capi_conversionevent" not in read_whole(found)
    assert "test_events" in indexes(found)
