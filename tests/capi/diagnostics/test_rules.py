"""The doctor on the rules: active, paused and why, and seen lately."""

from datetime import UTC, datetime, timedelta

import pytest

from capi.diagnostics import rules
from capi.models import ConversionRule, DayCount
from tests.capi.diagnostics.conftest import about, levels, log, rows_of

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def found(company):
    return list(rules.findings(rows_of(company), NOW))


def test_without_a_rule_there_is_one_to_add(company) -> None:
    active, ids = found(company)

    assert (active.level, active.sentence, active.fix) == (
        "amber",
        "There are no rules yet.",
        "Add one in step 2.",
    )
    assert (ids.level, ids.sentence) == ("unknown", rules.NO_ID)


def test_rules_that_are_on_are_fine(company, make_rule) -> None:
    make_rule()

    finding = about(found(company), "active")

    assert (finding.level, finding.sentence) == ("green", "Every rule is switched on.")


def test_one_that_is_off_beside_one_that_is_on_is_named(company, make_rule) -> None:
    make_rule("lead_created", "104011")
    make_rule("deal_lost", "104012", is_active=False)

    finding = about(found(company), "active")

    assert (finding.level, finding.sentence) == ("green", "1 of 2 on. Off: Deal lost.")
    assert finding.link == "/integrations/linkedin/#map"


def test_where_all_are_off_nothing_can_be_sent(company, make_rule) -> None:
    make_rule("lead_created", "104011", is_active=False)
    make_rule("deal_lost", "104012", is_active=False)

    assert levels(found(company)) == [("active", "red"), ("paused", "unknown")]


def test_an_id_is_confirmed_by_what_linkedin_accepted_or_listed_and_by_nothing_else(
    company, make_rule
) -> None:
    log(make_rule("lead_created", "104011"), "accepted", settled_at=NOW)
    log(make_rule("lead_qualified", "104012"), "accepted", is_test=True, settled_at=NOW)
    make_rule("deal_won", "104013", linkedin_read_at=NOW)
    make_rule("deal_lost", "104014")
    log(make_rule("deal_created", "104015"), "exhausted", is_test=True, settled_at=NOW)

    ids = [
        (finding.level, finding.sentence)
        for finding in found(company)
        if finding.check == "paused"
    ]

    assert ids == [
        ("green", "LinkedIn accepts events of Lead created, Lead qualified."),
        ("green", "LinkedIn listed Deal won on 25 Nov, 12:00."),
        (
            "unknown",
            "LinkedIn has not confirmed Deal lost (104014), Deal created (104015).",
        ),
    ]


def test_a_paused_rule_says_why_and_what_to_do(company, make_rule) -> None:
    make_rule(is_paused=True, paused_reason="rule_not_found")

    finding = about(found(company), "paused")

    assert finding.level == "red"
    assert (
        finding.sentence
        == "Lead created (104012): LinkedIn says 404: there is no conversion rule with this id."
    )
    assert (
        finding.fix == "Copy the rule id from Campaign Manager again and save the rule."
    )


def test_a_thousand_rules_with_two_troubles_make_two_findings(company) -> None:
    ConversionRule.objects.bulk_create(
        ConversionRule(
            company=company, crm_event="deal_won", linkedin_id=str(1000 + number), name=f"Rule {number}",
            is_paused=True, paused_reason="rule_not_found" if number % 2 else "rule_misconfigured",
        )
        for number in range(1000)
    )  # fmt: skip

    paused = [finding for finding in found(company) if finding.check == "paused"]

    assert [finding.level for finding in paused] == ["red", "red"]
    assert paused[1].sentence.startswith("Rule 1 (1001), Rule 3 (1003), ")
    assert "Rule 9 (1009) and 495 more: LinkedIn says 404" in paused[1].sentence
    assert paused[1].link == "/integrations/linkedin/#map"


def test_rules_say_when_they_last_sent(company, make_rule) -> None:
    log(make_rule(), "accepted", settled_at=NOW - timedelta(days=2, hours=3))

    finding = about(found(company), "seen")

    assert (finding.level, finding.sentence) == (
        "green",
        "Lead created on 23 Nov, 09:00.",
    )


@pytest.mark.parametrize(
    ("days", "level", "sentence"),
    [
        (29, "green", "Lead created on 27 Oct."),
        (30, "amber", "Nothing sent in the last 30 days: Lead created."),
    ],
)
def test_behind_the_newest_events_of_a_busy_company_the_counts_by_day_tell(
    company, make_rule, days, level, sentence
) -> None:
    day = (NOW - timedelta(days=days)).date()
    DayCount.objects.create(
        company=company, rule=make_rule(), day=day, state="accepted", count=1
    )

    finding = about(found(company), "seen")

    assert (finding.level, finding.sentence) == (level, sentence)


@pytest.mark.parametrize("sent", [NOW - timedelta(days=30), None])
def test_a_rule_that_sent_nothing_lately_is_to_be_looked_at(
    company, make_rule, sent
) -> None:
    rule = make_rule()
    if sent:
        log(rule, "accepted", settled_at=sent)

    finding = about(found(company), "seen")

    assert (finding.level, finding.sentence) == (
        "amber",
        "Nothing sent in the last 30 days: Lead created.",
    )
    assert finding.link == "/integrations/linkedin/#map"


def test_a_test_that_linkedin_took_is_proof_enough_for_a_new_rule(
    company, make_rule
) -> None:
    log(make_rule(), "accepted", is_test=True, settled_at=NOW)

    finding = about(found(company), "seen")

    assert (finding.level, finding.sentence) == (
        "green",
        "Tested, no event yet: Lead created.",
    )


def test_rules_that_are_off_or_paused_are_not_missed(company, make_rule) -> None:
    make_rule("lead_created", "104011", is_active=False)
    make_rule("deal_won", "104012", is_paused=True, paused_reason="rule_not_found")

    assert "seen" not in [check for check, _ in levels(found(company))]
