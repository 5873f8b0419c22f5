"""The doctor as a whole: every check, the worst first, in a fixed number of queries, and nothing written."""

from datetime import UTC, datetime

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from capi import services
from capi.diagnostics.checkups import examine
from capi.diagnostics.findings import Check, Finding, Level, as_json, counted, from_json
from capi.models import Connection, ConversionRule, Heartbeat
from tests.capi.diagnostics.conftest import about, levels
from tests.conftest import TOKEN

pytestmark = pytest.mark.django_db


def test_a_company_that_has_not_begun_gets_every_check_that_can_be_made(
    company,
) -> None:
    assert levels(examine(company)) == [
        ("sweep", "red"),
        ("token", "amber"), ("account", "amber"), ("active", "amber"),
        ("paused", "unknown"), ("at_linkedin", "unknown"), ("clock", "unknown"), ("leads", "unknown"),
        ("version", "green"), ("sending", "green"), ("on_hold", "green"), ("rest", "green"), ("size", "green"),
        ("due", "green"),
    ]  # fmt: skip
    assert not Connection.objects.exists()


def test_with_a_token_and_a_rule_no_check_is_left_out(
    company, sandbox, make_rule
) -> None:
    services.save_token(company=company, token=TOKEN, ad_account_id="512345678")
    make_rule()

    assert {finding.check for finding in examine(company)} == set(Check)


@pytest.mark.parametrize("rules", [1, 1000])
def test_it_takes_the_same_queries_however_many_rules_there_are_and_writes_nothing(
    company, sandbox, rules
) -> None:
    services.save_token(company=company, token=TOKEN, ad_account_id="512345678")
    ConversionRule.objects.bulk_create(
        ConversionRule(
            company=company,
            crm_event="deal_won",
            linkedin_id=str(104_011 + number),
            name=f"Rule {number}",
        )
        for number in range(rules)
    )

    with CaptureQueriesContext(database) as queries:
        findings = examine(company)

    # Connection; rules, their newest results, their tests, what is pending, the days of what was sent earlier; the
    # clock; due; the sweep; leads; the clock again.
    assert len(queries) == 11
    assert all(query["sql"].startswith("SELECT") for query in queries)
    assert len(findings) < 20


def test_moments_are_told_in_the_time_zone_of_the_company(company) -> None:
    company.time_zone = "Asia/Tokyo"
    company.save()
    Heartbeat.objects.create(
        name="sweep", beat_at=datetime(2026, 11, 20, 23, 10, tzinfo=UTC)
    )

    finding = about(examine(company), "sweep")

    assert (
        finding.sentence
        == "No worker has checked for due events since 21 Nov, 08:10:00."
    )


def test_findings_survive_being_stored() -> None:
    findings = [Finding(Check.TOKEN, Level.RED, "Sentence.", "Mend.", "/integrations/linkedin/"),
                Finding(Check.CLOCK, Level.GREEN, "Fine.")]  # fmt: skip

    assert from_json(as_json(findings)) == findings


def test_stored_findings_of_a_check_that_is_no_more_are_left_out() -> None:
    stored = as_json([Finding(Check.CLOCK, Level.GREEN, "Fine.")])

    assert from_json(
        [{**stored[0], "check": "phlogiston"}, {**stored[0], "level": "mauve"}, *stored]
    ) == [Finding(Check.CLOCK, Level.GREEN, "Fine.")]


def test_stored_findings_are_read_without_a_field_that_is_no_more() -> None:
    stored = as_json([Finding(Check.CLOCK, Level.GREEN, "Fine.")])

    assert from_json([{**stored[0], "phlogiston": "Much."}]) == [
        Finding(Check.CLOCK, Level.GREEN, "Fine.")
    ]


@pytest.mark.parametrize(
    ("levels", "sentence"),
    [
        (["green", "green"], "everything is OK"),
        (["red"], "1 thing to fix"),
        (["red", "red", "amber", "unknown"], "2 things to fix, 1 to check, 1 unknown"),
        (["amber", "amber"], "2 to check"),
    ],
)
def test_the_whole_is_said_in_a_few_words(levels, sentence) -> None:
    findings = [Finding(Check.TOKEN, Level(level), "") for level in levels]

    assert counted(findings).sentence == sentence
