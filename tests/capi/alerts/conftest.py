"""A company with a token, two rules and an admin who gets its mail; `look` evaluates it on demand."""

from datetime import UTC, datetime, timedelta

import pytest

from capi import services
from capi.alerts import evaluate as looking
from capi.alerts import notifications
from capi.alerts.mail_choices import choose
from capi.models import Alert, Connection, Mail
from tests.capi.alerts.post_office import PostOffice
from tests.conftest import TOKEN

__all__ = ["PostOffice"]


@pytest.fixture(autouse=True)
def _post_office(settings) -> None:
    settings.EMAIL_BACKEND = "tests.capi.alerts.post_office.PostOffice"
    settings.SITE_URL = "https://crm.example.com"
    PostOffice.open_anew()


@pytest.fixture
def line(company, admin) -> Connection:
    """The company's connection with a token. Its admin gets no weekly mail, so tests count only alert mails."""
    choose(company=company, user=admin.user, alerts=True, weekly=False)
    return services.save_token(company=company, token=TOKEN)


def look(company, *, now: datetime | None = None) -> bool:
    """Evaluate the company now, however recently that was last done."""
    Connection.objects.filter(company=company).update(next_look_at=None)
    return looking.evaluate(company.pk, now=now or datetime.now(UTC))


def mails() -> list[tuple[str, str]]:
    """Send what is due. Returns recipient and subject of every mail that the server has accepted so far."""
    notifications.send_due()
    return [(mail.to[0], mail.subject) for mail in PostOffice.taken]


def subjects() -> list[str]:
    return [subject for _, subject in mails()]


def open_alerts() -> list[tuple[str, int | None]]:
    return list(
        Alert.objects.still_open().order_by("pk").values_list("kind", "rule_id")
    )


def make_mails_due() -> None:
    """Make every mail that has not got through due now."""
    Mail.objects.exclude(due_at=None).update(
        due_at=datetime.now(UTC) - timedelta(seconds=1)
    )
