"""Every finding that is not fine says what to do about it, and where."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from cryptography.fernet import Fernet

from capi import services
from capi.diagnostics import queue, rules, setup
from capi.diagnostics.findings import Check, Finding, Level
from capi.diagnostics.linkedin import (
    _clock,
    ask_for_rules,
    rules_findings,
    version_findings,
)
from capi.linkedin.rules import LinkedInRule, ReadStatus, RulesRead
from capi.models import Connection, Heartbeat
from capi.models.choices import Reason
from capi.models.functions import database_now
from leadmachine.help.pages import all_pages
from tests.capi.diagnostics.conftest import log, rows_of
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db

TODAY, NOW = date(2026, 11, 25), datetime(2026, 11, 25, 12, tzinfo=UTC)
PARTS_OF_THE_PAGE = {"connect", "map", "verify", "doctor"}


@pytest.fixture
def connection(company) -> Connection:
    return services.save_token(company=company, token=TOKEN, ad_account_id="512345678")


def of_token_and_account(company, connection, settings, make_rule) -> Iterator[Finding]:
    make_rule()
    rows = rows_of(company)
    yield from [
        *setup.token_findings(None, [], TODAY),
        *setup.token_findings(None, rows, TODAY),
        *setup.account_findings(None, rows),
    ]
    yield from setup.account_findings(connection, rows)
    for reason in Reason:
        connection.is_paused, connection.paused_reason = True, reason
        yield from [
            *setup.token_findings(connection, rows, TODAY),
            *version_findings(connection, TODAY),
        ]
        yield from setup.account_findings(connection, rows)
    for days in (14, 3, -1):
        connection.token_expires_on = TODAY + timedelta(days=days)
        yield from setup.token_findings(connection, rows, TODAY)
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]
    yield from [
        *setup.token_findings(connection, rows, TODAY),
        *rules_findings(ask_for_rules(connection), []),
    ]


def of_the_version(company, connection, settings, make_rule) -> Iterator[Finding]:
    for day in (date(2027, 7, 17), date(2027, 9, 8), date(2027, 9, 16)):
        yield from version_findings(connection, day)
    for other in ("202405", "202701"):
        settings.LINKEDIN_API_VERSION = other
        yield from version_findings(connection, TODAY)


def of_rules(company, connection, settings, make_rule) -> Iterator[Finding]:
    yield from rules.findings([], NOW)
    rule = make_rule()
    yield from rules.findings(rows_of(company), NOW)
    for reason in Reason:
        rule.is_paused, rule.paused_reason = True, reason
        rule.save()
        yield from [
            *rules.findings(rows_of(company), NOW),
            *setup.account_findings(connection, rows_of(company)),
        ]
    rule.is_active = False
    rule.save()
    yield from rules.findings(rows_of(company), NOW)


def of_linkedins_answers(company, connection, settings, make_rule) -> Iterator[Finding]:
    rule = make_rule()
    yield from rules_findings(None, [rule])
    listed = [(LinkedInRule("104012", "", "LEAD", "CONVERSIONS_API", enabled=False),),
              (LinkedInRule("104012", "", "LEAD", "OTHER", enabled=True),), ()]  # fmt: skip
    reads = [
        *map(RulesRead, ReadStatus),
        *(RulesRead(ReadStatus.FOUND, found) for found in listed),
    ]
    for read in reads:
        yield from rules_findings(read, [rule])
    for header in ("Wed, 25 Nov 2026 12:00:20 GMT", "Wed, 25 Nov 2026 11:00:00 GMT"):
        yield _clock({"date": header}, NOW)


def of_all_that_takes_a_query(
    company, connection, settings, make_rule
) -> Iterator[Finding]:
    yield from [*setup.lead_findings(company), *queue.worker_findings(NOW)]
    make_lead(company, email="")
    beat = Heartbeat.objects.create(name="sweep", beat_at=NOW)
    yield from setup.lead_findings(company)
    for minutes in (3, 30):
        yield from queue.worker_findings(beat.beat_at + timedelta(minutes=minutes))
    now = database_now()
    event = log(
        make_rule(),
        "pending",
        next_attempt_at=now - timedelta(minutes=6),
        happened_at=now - timedelta(1),
    )
    yield from queue.queue_findings(company.pk, connection, [], now)
    yield from queue.queue_findings(
        company.pk, connection, [], now + timedelta(hours=2)
    )
    connection.next_attempt_at = now + timedelta(hours=1)
    yield from queue.queue_findings(company.pk, connection, [], now)
    connection.resting_since, connection.rest_cause, connection.body_limit = (
        now,
        "throttled",
        600_000,
    )
    yield from queue.at_hand(connection, now)
    connection.is_paused, connection.paused_reason = True, Reason.TOKEN_REFUSED
    yield from queue.queue_findings(company.pk, connection, [], now)
    yield from queue.queue_findings(
        company.pk, connection, [], event.happened_at + timedelta(days=89)
    )
    connection.paused_reason = Reason.ALL_PAUSED
    yield from queue.at_hand(connection, now)


SOURCES = (
    of_token_and_account,
    of_the_version,
    of_rules,
    of_linkedins_answers,
    of_all_that_takes_a_query,
)


def test_every_finding_that_is_not_green_has_a_mend_and_a_link_that_leads_somewhere(
    company, connection, settings, make_rule
) -> None:
    findings: set[Finding] = set()
    for source in SOURCES:
        settings.LINKEDIN_API_VERSION = "202609"
        found = set(source(company, Connection.objects.get(), settings, make_rule))
        company.conversion_rules.all().delete()
        findings |= {finding for finding in found if finding.level != Level.GREEN}

    assert {finding.check for finding in findings} == set(Check)
    assert not [finding for finding in findings if not (finding.fix and finding.link)]
    assert not [
        link
        for link in {link for finding in findings for link in finding.links}
        if _leads_nowhere(link)
    ]
    # Those of reasons are left out, as this test pauses with each reason, and most of them never pause anything.
    of_checks = [
        finding for finding in findings if not finding.topic.startswith("reason-")
    ]
    assert not [
        finding
        for finding in of_checks
        if not finding.ask_admin and not _needs_no_admin(finding)
    ]


def _needs_no_admin(finding: Finding) -> bool:
    others = ("Press play", "No action needed", "Ask the operator", "The operator")
    return finding.fix.startswith(others) or finding.check in (
        Check.LEADS,
        Check.ON_HOLD,
    )


def _leads_nowhere(link: str) -> bool:
    address, _, anchor = link.partition("#")
    if not address.startswith("/help/"):
        return bool(anchor) and anchor not in PARTS_OF_THE_PAGE
    return anchor not in {
        section.anchor for section in all_pages()[address.split("/")[2]].sections
    }
