"""What is deleted when the retention period is over, and what stays however old it is."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from capi.models import Alert, Mail
from capi.models.choices import AlertKind, MailKind
from tests.housekeeping import keep_house

pytestmark = pytest.mark.django_db

OLD = Now() - timedelta(days=31)
RECENT = Now() - timedelta(days=29)


@pytest.fixture(autouse=True)
def _thirty_days(settings) -> None:
    settings.RETENTION_DAYS = 30


def alert_of(company, *, closed_at) -> Alert:
    return Alert.objects.create(
        company=company, kind=AlertKind.RULE_PAUSED, opened_at=OLD, closed_at=closed_at
    )


def mail_to(member, alert=None, **fields) -> Mail:
    news = MailKind.OPENED if alert else MailKind.WEEK
    return Mail.objects.create(
        company=member.company, user=member.user, alert=alert, news=news, **fields
    )


def test_an_alert_goes_by_its_end_with_the_mails_about_it(company, admin) -> None:
    mail_to(
        admin,
        alert_of(company, closed_at=OLD),
        created_at=OLD,
        due_at=None,
        sent_at=OLD,
    )
    ended_lately = alert_of(company, closed_at=RECENT)
    still_open = alert_of(company, closed_at=None)

    keep_house()

    assert set(Alert.objects.all()) == {ended_lately, still_open}
    assert not Mail.objects.exists()


def test_a_mail_goes_when_it_was_sent_or_given_up_long_ago_also_that_of_an_alert_that_is_open(
    company, admin
) -> None:
    still_open = alert_of(company, closed_at=None)
    mail_to(admin, still_open, created_at=OLD, due_at=None, sent_at=OLD)
    mail_to(admin, week="2026-01-05", created_at=OLD, due_at=None, tries=8)
    sent_lately = mail_to(
        admin, week="2026-01-12", created_at=RECENT, due_at=None, sent_at=RECENT
    )

    keep_house()

    assert list(Mail.objects.all()) == [sent_lately]
    assert list(Alert.objects.all()) == [still_open]


def test_a_mail_that_is_still_to_be_sent_stays_and_so_does_its_alert(
    company, admin
) -> None:
    ended = alert_of(company, closed_at=OLD)
    about_it = mail_to(admin, ended, created_at=OLD, due_at=OLD)
    of_a_week = mail_to(admin, week="2026-01-05", created_at=OLD, due_at=OLD)

    keep_house()

    assert list(Mail.objects.all()) == [about_it, of_a_week]
    assert list(Alert.objects.all()) == [ended]
