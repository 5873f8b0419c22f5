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
from tests.conftest import make_lead
from tests.plans import analyse, indexes, plans, read, read_whole

pytestmark = pytest.mark.django_db

EVENTS = 200_000  # over 90 days: with so many, PostgreSQL reads a week from an index, not the table, if it can
LARGE = {"crm_crmevent", "capi_conversionevent", "crm_lead", "capi_attempt", "crm_auditentry"}
LAST_WEEK = monday_of(timezone.localdate()) - timedelta(weeks=1)


@pytest.fixture
def log(company, make_rule, settings) -> None:
    settings.LINKEDIN_SANDBOX = True
    make_lead(company)
    make_rule()
    call_command("make_events", company=company.slug, count=EVENTS, stdout=StringIO())
    analyse()


@pytest.mark.thorough
def test_neither_the_page_nor_the_file_nor_the_mail_of_a_week_reads_a_large_table_whole(log, ops, client_as) -> None:
    web = client_as(ops)
    mail = Mail.objects.create(company=ops.company, user=ops.user, news=MailKind.WEEK, week=LAST_WEEK)

    with plans() as found:
        page = web.get(reverse("reconcile"))
        export = web.post(reverse("reconcile_export"), {"week": LAST_WEEK.isoformat()})
        letter = mail_content(mail)

    assert page.status_code == 200
    assert b"".join(export).count(b"Sent") == 1
    assert "Lead created" in letter.text
    assert {"crm_crmevent", "capi_conversionevent"} <= read(found)
    assert read_whole(found) & LARGE == set()


@pytest.mark.thorough
def test_recent_events_does_not_read_the_whole_log_whatever_is_chosen(log, ops, client_as) -> None:
    # As after a delivery: updated rows are at the end of the table, so that reading by id costs more than in its order.
    ConversionEvent.objects.filter(pk__in=ConversionEvent.objects.order_by("pk").values("pk")[: EVENTS // 4]).update(
        attempts=1
    )
    analyse()
    web = client_as(ops)
    url = reverse("events")

    with plans() as found:
        for query in ({}, {"state": "test"}, {"state": "failed"}, {"reason": "opted_out"}, {"event": "deal_lost"}):
            assert web.get(url, query).status_code == 200

    assert "capi_conversionevent" in read(found)
    assert "capi_conversionevent" not in read_whole(found)
    assert "test_events" in indexes(found)
