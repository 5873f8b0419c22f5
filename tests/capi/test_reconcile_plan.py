"""A week's reconcile reads its week, however long the log is: no statement of its page or mail reads a whole table."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from capi.alerts.letters import letter_of
from capi.models import Mail
from capi.reads.moments import monday_of
from capi.reasons import News
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db

EVENTS = 200_000  # of 90 days; of so many PostgreSQL reads a week from an index rather than the table, if it may
LARGE = {"crm_crmevent", "capi_conversionevent", "crm_lead", "capi_attempt", "crm_auditentry"}
LAST_WEEK = monday_of(timezone.localdate()) - timedelta(weeks=1)


@pytest.fixture
def log(company, make_rule, settings) -> None:
    settings.LINKEDIN_SANDBOX = True
    make_lead(company)
    make_rule()
    call_command("make_events", company=company.slug, count=EVENTS, stdout=StringIO())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


@contextmanager
def plans() -> Iterator[list[dict[str, Any]]]:
    """Gathers PostgreSQL's plan of each statement that reads."""
    found: list[dict[str, Any]] = []

    def explained(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().startswith("SELECT") and "pg_" not in sql:
            with connection.cursor().connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
                [plan] = cursor.fetchone()
                found.extend(plan if isinstance(plan, list) else json.loads(plan))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explained):
        yield found


def read_whole(node: Any) -> set[str]:
    """The tables that a plan reads from their beginning to their end."""
    if isinstance(node, list):
        return set().union(*map(read_whole, node))
    if not isinstance(node, dict):
        return set()
    here = {node["Relation Name"]} if node.get("Node Type") == "Seq Scan" else set()
    return here.union(*map(read_whole, node.values()))


def test_neither_the_page_nor_the_file_nor_the_mail_of_a_week_reads_a_large_table_whole(log, ops, client_as) -> None:
    web = client_as(ops)
    mail = Mail.objects.create(company=ops.company, user=ops.user, news=News.WEEK, week=LAST_WEEK)

    with plans() as found:
        page = web.get(reverse("reconcile"))
        export = web.post(reverse("reconcile_export"), {"week": LAST_WEEK.isoformat()})
        letter = letter_of(mail)

    assert page.status_code == 200
    assert b"".join(export).count(b"Sent") == 1
    assert "Lead created" in letter.text
    assert any("crm_crmevent" in json.dumps(plan) for plan in found)
    assert read_whole(found) & LARGE == set()
