"""The doctor on what LinkedIn itself says: its rules, if the token may read them, and its clock."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from capi import services
from capi.diagnostics import linkedin
from capi.diagnostics.linkedin import (
    NO_CLOCK,
    NOT_ASKED,
    _clock,
    ask_for_rules,
    rules_findings,
)
from capi.models import Connection, ConversionRule
from tests.capi.diagnostics.conftest import about, levels

pytestmark = pytest.mark.django_db

ACCOUNT = "512345678"  # the sandbox lists 12 rules for it


def connect(company, token="AQX-good-token-0123456789", account=ACCOUNT) -> Connection:
    return services.save_token(company=company, token=token, ad_account_id=account)


def found(company):
    connection = Connection.objects.for_company(company).first()
    return list(
        rules_findings(
            ask_for_rules(connection), list(ConversionRule.objects.for_company(company))
        )
    )


def test_rules_that_linkedin_lists_enabled_and_for_the_api_are_fine(
    company, sandbox, make_rule
) -> None:
    connect(company)
    make_rule("lead_created", "104011")
    make_rule("deal_won", "104014")

    findings = found(company)

    assert levels(findings) == [("clock", "green"), ("at_linkedin", "green")]
    assert (
        findings[1].sentence
        == "LinkedIn lists 12 rules. All active ones are enabled and accept our events."
    )


@pytest.mark.parametrize(
    ("linkedin_id", "level", "sentence"),
    [
        ("400401", "red", "Switched off in Campaign Manager: Deal won (400401)."),
        ("400400", "red", "Not set up for the Conversions API: Deal won (400400)."),
        ("999", "amber", "Not among the ad account's rules: Deal won (999)."),
    ],
)
def test_a_rule_that_linkedin_has_otherwise_is_named(
    company, sandbox, make_rule, linkedin_id, level, sentence
) -> None:
    connect(company)
    make_rule("deal_won", linkedin_id)
    make_rule("lead_created", "104011")

    finding = about(found(company), "at_linkedin")

    assert (finding.level, finding.sentence) == (level, sentence)


def test_rules_are_compared_over_all_pages(company, sandbox, make_rule) -> None:
    connect(company, account="250250")
    make_rule("deal_won", "200246")

    assert about(found(company), "at_linkedin").sentence.startswith(
        "LinkedIn lists 250 rules."
    )


@pytest.mark.parametrize(
    ("token", "account", "level", "sentence"),
    [
        (
            "AQX-sendonly-0123456789",
            ACCOUNT,
            "unknown",
            "LinkedIn says 403: this token can send events but not read rules",
        ),
        (
            "AQX-revoked-0123456789",
            ACCOUNT,
            "red",
            "LinkedIn says 401: the access token is expired, revoked or",
        ),
        (
            "AQX-throttled-0123456789",
            ACCOUNT,
            "unknown",
            "LinkedIn has technical problems, or asks us to slow down.",
        ),
        (
            "AQX-good-token-0123456789",
            "500500",
            "unknown",
            "LinkedIn has technical problems",
        ),
        (
            "AQX-good-token-0123456789",
            "503503",
            "unknown",
            "LinkedIn has technical problems",
        ),
        (
            "AQX-good-token-0123456789",
            "403403",
            "unknown",
            "LinkedIn says 403: this token can send events but not read rules",
        ),
    ],
)
def test_an_answer_without_rules_says_why_and_changes_nothing(
    company, sandbox, make_rule, token, account, level, sentence
) -> None:
    connect(company, token, account)
    make_rule()
    before = Connection.objects.values().get(), ConversionRule.objects.values().get()

    finding = about(found(company), "at_linkedin")

    assert finding.level == level
    assert finding.sentence.startswith(sentence)
    assert (
        Connection.objects.values().get(),
        ConversionRule.objects.values().get(),
    ) == before


def test_a_retired_version_is_red_and_the_clock_is_compared_all_the_same(
    company, sandbox, settings
) -> None:
    connect(company)
    settings.LINKEDIN_API_VERSION = "202511"

    assert levels(found(company)) == [("clock", "green"), ("at_linkedin", "red")]
    assert Connection.objects.get().is_sending


def test_linkedin_out_of_reach_can_not_be_told(company) -> None:
    connect(company)

    findings = found(company)

    assert levels(findings) == [("clock", "unknown"), ("at_linkedin", "unknown")]
    assert (
        findings[1].sentence
        == "LinkedIn did not respond in time, or could not be reached."
    )


def test_it_waits_for_an_answer_no_longer_than_its_limit(
    company, sandbox, monkeypatch
) -> None:
    monkeypatch.setattr(linkedin, "ASK_SECONDS", 0.5)
    connect(company, account="408408")
    started = datetime.now(UTC)

    finding = about(found(company), "at_linkedin")

    assert (
        finding.sentence == "LinkedIn did not respond in time, or could not be reached."
    )
    assert datetime.now(UTC) - started < timedelta(seconds=3)


@pytest.mark.parametrize(
    "missing",
    [{"ad_account_id": ""}, {"sealed_token": ""}, {"sealed_token": "gAAAA-unreadable"}],
)
def test_without_what_it_takes_linkedin_is_not_asked(company, sandbox, missing) -> None:
    connect(company)
    Connection.objects.update(**missing)

    findings = found(company)

    assert levels(findings) == [("at_linkedin", "unknown"), ("clock", "unknown")]
    assert findings[0].sentence == NOT_ASKED
    assert sandbox.ledger.tail(10) == []


def test_without_a_connection_linkedin_is_not_asked() -> None:
    assert levels(rules_findings(ask_for_rules(None), [])) == [
        ("at_linkedin", "unknown"),
        ("clock", "unknown"),
    ]


NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ours_is_ahead", "level", "sentence"),
    [
        (14, "green", "The database's clock agrees with LinkedIn's."),
        (-14, "green", "The database's clock agrees with LinkedIn's."),
        (15, "amber", "The database's clock is 15 seconds ahead of LinkedIn's."),
        (-299, "amber", "The database's clock is 299 seconds behind LinkedIn's."),
        (3600, "red", "The database's clock is 3,600 seconds ahead of LinkedIn's."),
    ],
)
def test_the_clocks_are_compared(ours_is_ahead, level, sentence) -> None:
    header = format_datetime(NOW - timedelta(seconds=ours_is_ahead), usegmt=True)

    finding = _clock({"date": header}, NOW)

    assert (finding.level, finding.sentence) == (level, sentence)


@pytest.mark.parametrize("header", ["", "yesterday", "Wed, 99 Nov 2026 12:00:00 GMT"])
def test_a_date_that_is_none_tells_nothing(header) -> None:
    finding = _clock({"date": header}, NOW)

    assert (finding.level, finding.sentence) == ("unknown", NO_CLOCK)
