"""Looking at a company: its state is compared with its open alerts, once however many workers look at the same time."""

from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from capi.alerts import book, weekly
from capi.alerts.conditions import compare
from capi.alerts.facts import facts_of
from capi.alerts.measures import measures_of
from capi.models import Alert, Connection, ConversionRule

EVERY: Final = timedelta(hours=1)  # unless something changes: a pause and its end ask for a look themselves
DUE: Final = Q(next_look_at=None) | Q(next_look_at__lte=Now())


def due_companies() -> list[int]:
    """The companies whose state is to be looked at."""
    return list(Connection.objects.filter(DUE).order_by("pk").values_list("company_id", flat=True))


def look(company_id: int, *, now: datetime) -> bool:
    """Open and close the company's alerts as its state demands. False where another worker has just looked.

    What has to be counted is counted before, so that the transaction, which holds the connection's row, is short. It
    then reads the state anew: a pause is known with its own beginning, and no look can overtake another.
    """
    measured = measures_of(company_id, now=now)
    with transaction.atomic():
        connection = _claim(company_id)
        if connection is None:
            return False
        rules = list(ConversionRule.objects.for_company(company_id).active()) if connection.company.is_active else []
        found = [*measured, *facts_of(connection, rules, now=now, today=_today(connection, now))] if rules else []
        standing = {rule.pk for rule in rules} | ({None} if rules and connection.has_token else set())
        book.write(company_id, compare(_open_alerts(company_id), found, standing=standing))
        if rules:
            weekly.write_if_due(connection, now=now)
    return True


def _claim(company_id: int) -> Connection | None:
    """The connection, locked, unless nobody need look at it: of two workers that come at once one finds it done."""
    due = Connection.objects.for_company(company_id).filter(DUE)
    if not due.update(next_look_at=Now() + EVERY):
        return None
    return Connection.objects.for_company(company_id).select_related("company").get()


def _open_alerts(company_id: int) -> list[Alert]:
    return list(Alert.objects.for_company(company_id).still_open().order_by("pk"))


def _today(connection: Connection, now: datetime) -> date:
    return now.astimezone(ZoneInfo(connection.company.time_zone)).date()
